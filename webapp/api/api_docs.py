"""The OpenAPI schema as the API's documentation page shows it: types as `string(uuid) | null`, with links."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

PREFIX = "/api/v1"
REF = "#/components/schemas/"
SHORT = 12  # so many values of a named enumeration are shown where it is used
LIMITS = (("Length", "characters"), ("Items", "items"), ("imum", ""))
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    name: str
    type: SafeString
    required: bool
    default: str
    text: SafeString
    place: str = ""


@dataclass(frozen=True)
class Result:
    statuses: str
    text: str
    types: tuple[SafeString, ...]


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    text: SafeString
    parameters: tuple[Field, ...]
    bodies: tuple[tuple[str, SafeString], ...]
    results: tuple[Result, ...]
    curl: str


@dataclass(frozen=True)
class NamedSchema:
    id: str
    name: str
    text: SafeString
    type: SafeString
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class ApiDocs:
    version: str
    description: str
    groups: tuple[tuple[str, tuple[Operation, ...]], ...]
    schemas: tuple[NamedSchema, ...]
    headers: tuple[tuple[str, str], ...]


def api_docs(schema: Schema) -> ApiDocs:
    components = schema["components"]
    named = components["schemas"]
    groups: dict[str, list[Operation]] = defaultdict(list)
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].append(_operation(path, method, operation, components))
    return ApiDocs(
        version=schema["info"]["version"],
        description=schema["info"]["description"],
        groups=tuple((tag, tuple(operations)) for tag, operations in sorted(groups.items())),
        schemas=tuple(_named(name, named) for name in sorted(named)),
        headers=tuple((name, header["description"]) for name, header in components["headers"].items()),
    )


def type_of(schema: Schema, named: Mapping[str, Schema]) -> SafeString:
    """The type of a value, as HTML with links to the named schemas."""
    return mark_safe(_type(schema, named))  # noqa: S308 - every part is escaped in `_type`


def _type(schema: Schema, named: Mapping[str, Schema]) -> str:
    if "$ref" in schema:
        return _reference(schema["$ref"].removeprefix(REF), named)
    for key, sign in (("oneOf", " | "), ("anyOf", " | "), ("allOf", " &amp; ")):
        if key in schema:
            return sign.join(dict.fromkeys(_type(one, named) for one in schema[key]))
    if "enum" in schema:
        return " | ".join(escape("null" if one is None else json.dumps(one)) for one in schema["enum"])
    types = schema.get("type", "any")
    types = [types] if isinstance(types, str) else types
    return " | ".join(_plain(one, schema, named) for one in types)


def _reference(name: str, named: Mapping[str, Schema]) -> str:
    target = named.get(name, {})
    values = target.get("enum", [None] if target.get("type") == "null" else [])
    # drf-spectacular's names for "empty" and "null" are less clear than the value.
    if values and not any(values):
        return _type({"enum": values}, named)
    link = format_html('<a href="#schema-{0}">{0}</a>', name)
    return f"{link} ({_type(target, named)})" if 0 < len(values) <= SHORT else link


def _plain(kind: str, schema: Schema, named: Mapping[str, Schema]) -> str:
    if kind == "array":
        inner = _type(schema.get("items", {}), named)
        return (f"({inner})[]" if " | " in inner else f"{inner}[]") + _limits(schema, "array")
    values = schema.get("additionalProperties")
    if kind == "object" and isinstance(values, Mapping) and values:
        return f"object&lt;{_type(values, named)}&gt;"
    form = f"({escape(schema['format'])})" if kind == "string" and "format" in schema else ""
    return escape(kind) + form + _limits(schema, kind)


def _limits(schema: Schema, kind: str) -> str:
    """The bounds, such as ` (1 to 200)` or ` (at most 64 characters)`."""
    for suffix, unit in LIMITS:
        low, high = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
        if (low is None and high is None) or kind == "null":
            continue
        bound = (
            f"at least {low}" if high is None else f"at most {high}" if low is None else f"{low} to {high}"
        )
        return f" ({bound}{f' {unit}' if unit else ''})"
    return ""


def _text(schema: Schema) -> SafeString:
    """A description, in which `backticks` mark code; without the values that the type lists already."""
    lines = [line for line in str(schema.get("description", "")).splitlines() if not line.startswith("* `")]
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(" ".join(lines).split())))
    return mark_safe(html)  # noqa: S308 - escaped before the marks are replaced


def _field(name: str, schema: Schema, required: bool, named: Mapping[str, Schema], place: str = "") -> Field:
    default = json.dumps(schema["default"]) if "default" in schema else ""
    return Field(name, type_of(schema, named), required, default, _text(schema), place)


def _named(name: str, named: Mapping[str, Schema]) -> NamedSchema:
    schema = named[name]
    return NamedSchema(
        f"schema-{name}", name, _text(schema), type_of(schema, named), tuple(_fields(schema, named))
    )


def _fields(schema: Schema, named: Mapping[str, Schema], prefix: str = "") -> Iterator[Field]:
    """The fields of an object; those of an unnamed object in it follow as `outer.inner`."""
    required = schema.get("required", [])
    for name, one in schema.get("properties", {}).items():
        yield _field(prefix + name, one, name in required, named)
        yield from _fields(one, named, f"{prefix}{name}.")


def _operation(path: str, method: str, operation: Schema, components: Schema) -> Operation:
    named = components["schemas"]
    body = operation.get("requestBody", {}).get("content", {})
    parameters = sorted(operation.get("parameters", []), key=lambda one: one["in"] != "path")
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path.removeprefix(PREFIX),
        summary=operation["summary"],
        text=_text(operation),
        parameters=tuple(
            _field(
                one["name"],
                one["schema"] | {"description": one.get("description", "")},
                bool(one.get("required")),
                named,
                one["in"],
            )
            for one in parameters
        ),
        bodies=tuple((type_, type_of(one["schema"], named)) for type_, one in body.items()),
        results=tuple(_results(operation, components)),
        curl=_curl(path, method, operation, named),
    )


def _results(operation: Schema, components: Schema) -> Iterator[Result]:
    """What it returns; the problems, which are alike, in one line."""
    responses = operation["responses"].items()
    for shared, group in groupby(responses, key=lambda item: "$ref" in item[1]):
        found = list(group)
        if shared:
            yield Result(", ".join(status for status, _ in found), "Problem details (RFC 9457)", ())
            continue
        for status, response in found:
            content = response.get("content", {}).values()
            types = tuple(type_of(one.get("schema", {}), components["schemas"]) for one in content)
            yield Result(status, response.get("description", ""), types)


def _curl(path: str, method: str, operation: Schema, named: Mapping[str, Schema]) -> str:
    """A command to start from; what the caller has to fill in is in capitals."""
    bodies = list(operation.get("requestBody", {}).get("content", {}).items())[:1]
    implied = method == "get" or (method == "post" and bodies)
    words = ["curl -sS"] + ([] if implied else [f"-X {method.upper()}"])
    words.append('-H "Authorization: Bearer $TOKEN"')
    for type_, body in bodies:
        schema = named.get(body["schema"].get("$ref", "").removeprefix(REF), body["schema"])
        fields = {name: schema["properties"][name] for name in schema.get("required", [])}
        if type_ == "multipart/form-data":
            words += [
                f"-F {name}={name.upper() if 'maximum' in one else '@FILE'}" for name, one in fields.items()
            ]
        else:
            example = next(iter(body.get("examples", {}).values()), {}).get("value")
            example = example or {name: name.upper() for name in fields}
            words += [f'-H "Content-Type: {type_}"', f"-d '{json.dumps(example)}'"]
    place = re.sub(r"\{(\w+)\}", lambda found: f"${found[1].upper()}", path)
    return " ".join([*words, f'"$HILUM{place}"'])
