"""What every field and parameter of the API means, for the description that drf-spectacular makes.

A serializer's own `help_text` wins. Names mean the same nearly everywhere, so that one entry serves many
schemas: `name` is every field of that name, `Schema.name` the exception, told for all forms of the schema
(`Patched…`, `…Request`, `…Row`, `…Detail` and so on). Of a parameter the group of addresses is the exception.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drf_spectacular.plumbing import safe_ref

from webapp.api.glossary import imaging, labels, models, parameters, service

Schema = dict[str, Any]
FIELDS: Mapping[str, str] = service.FIELDS | imaging.FIELDS | labels.FIELDS | models.FIELDS
PARAMETERS: Mapping[str, str] = parameters.PARAMETERS
# What drf-spectacular says of each choice: the value again.
CHOICE = re.compile(r"^\* `(.*)` - (.*)$")
SENT = re.compile(r"^Patched|Request$")
FORMS = re.compile(r"(?<=[a-z])(Change|Create|Detail|Facts|Progress|Request|Row|Start|WithSecret|Write)+$")


def explain(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """A postprocessing hook of drf-spectacular: tells what no serializer, filter or view told itself."""
    schemas = result["components"]["schemas"]
    told = {name: _with_fields(name, schema) for name, schema in schemas.items()}
    result["components"]["schemas"] = told
    for path, operations in result["paths"].items():
        for operation in operations.values():
            for place, one in enumerate(operation.get("parameters", [])):
                key = parameter_entry(path, one["name"])
                operation["parameters"][place] = _explained(one, PARAMETERS.get(key, ""))
    return result


def field_entry(schema: str, name: str) -> str:
    """The key for a field: its own, that of the schema's other forms, else what the name always means."""
    own = SENT.sub("", schema)
    return _first(FIELDS, f"{own}.{name}", f"{FORMS.sub('', own)}.{name}", name)


def parameter_entry(path: str, name: str) -> str:
    group = path.removeprefix("/api/v1/").split("/")[0]
    return _first(PARAMETERS, f"{group}.{name}", name)


def says_nothing(description: str) -> bool:
    """Whether it is empty, or only lists the choices."""
    return all(CHOICE.match(line) for line in description.splitlines() if line)


def _first(texts: Mapping[str, str], *keys: str) -> str:
    return next((key for key in keys if key in texts), "")


def _with_fields(name: str, schema: Schema) -> Schema:
    """A copy, since parts of a schema may be constants that serializers share."""
    fields = {
        field: _explained(_with_fields(name, one), FIELDS.get(field_entry(name, field), ""))
        for field, one in schema.get("properties", {}).items()
    }
    return schema | ({"properties": fields} if fields else {})


def _explained(schema: Schema, text: str) -> Schema:
    said = schema.get("description", "")
    if not text or not says_nothing(said):
        return schema
    # As drf-spectacular does it: a reference has nothing beside it, which older readers would drop.
    return safe_ref({**schema, "description": f"{text}\n\n{said}" if said else text})
