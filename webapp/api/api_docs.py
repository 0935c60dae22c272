"""The API's description (OpenAPI) as the page shows it: groups of operations, and the schemas by name."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from webapp.api.glossary import CHOICE
from webapp.api.schema_text import Part, Schema, Words, anchor, kind, named, prose

PREFIX = "/api/v1"


@dataclass(frozen=True)
class Field:
    name: str
    kind: Words
    required: bool
    default: str
    text: Words
    where: str = ""


@dataclass(frozen=True)
class Content:
    """A media type and what is in it."""

    type: str
    kind: Words
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Answer:
    statuses: tuple[str, ...]
    text: Words
    contents: tuple[Content, ...]


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    summary: Words
    text: tuple[Words, ...]
    scope: str
    parameters: tuple[Field, ...]
    bodies: tuple[Content, ...]
    body_required: bool
    answers: tuple[Answer, ...]
    curl: str


@dataclass(frozen=True)
class Group:
    id: str
    title: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Shape:
    """A schema with a name; `sent` if a request carries it, else only answers do."""

    id: str
    name: str
    kind: Words
    text: Words
    fields: tuple[Field, ...]
    sent: bool


@dataclass(frozen=True)
class Header:
    name: str
    text: Words
    statuses: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    version: str
    text: Words
    groups: tuple[Group, ...]
    shapes: tuple[Shape, ...]
    headers: tuple[Header, ...]


def reference(described: Mapping[str, Any]) -> Reference:
    shapes = described["components"]["schemas"]
    grouped: dict[str, list[Operation]] = defaultdict(list)
    for path, method, operation in _operations(described):
        grouped[operation["tags"][0]].append(_operation(path, method, operation, shapes))
    sent = _sent(described, shapes)
    return Reference(
        version=described["info"]["version"],
        text=prose(described["info"].get("description", "")),
        groups=tuple(Group(f"group-{tag}", _title(tag), tuple(of)) for tag, of in sorted(grouped.items())),
        shapes=tuple(_shape(name, shapes, sent) for name in sorted(shapes)),
        headers=_headers(described),
    )


def _operations(described: Mapping[str, Any]) -> Iterator[tuple[str, str, Schema]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _title(tag: str) -> str:
    words = tag.replace("-", " ")
    return words[:1].upper() + words[1:]


def _operation(path: str, method: str, operation: Schema, shapes: Mapping[str, Schema]) -> Operation:
    scope = " ".join(scope for one in operation.get("security", []) for scope in one.get("bearer", []))
    paragraphs = [prose(text) for text in re.split(r"\n\s*\n", operation.get("description", "").strip())]
    # The scope has a place of its own on the page.
    paragraphs = [said for said in paragraphs if said and said.text != f"Scope: {scope}."]
    if operation.get("summary"):
        paragraphs.insert(0, prose(operation["summary"]))
    body = operation.get("requestBody", {})
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path.removeprefix(PREFIX),
        summary=paragraphs[0] if paragraphs else Words(),
        text=tuple(paragraphs[1:]),
        scope=scope,
        parameters=tuple(_parameters(operation, shapes)),
        bodies=tuple(_content(type_, b, shapes, inside=True) for type_, b in body.get("content", {}).items()),
        body_required=bool(body.get("required")),
        answers=_answers(operation, shapes),
        curl=_curl(path, method, operation, shapes),
    )


def _parameters(operation: Schema, shapes: Mapping[str, Schema]) -> list[Field]:
    """Those of the path first, then those that are required, else as they stand."""
    places = {"path": _("path"), "query": _("query"), "header": _("header")}
    listed = sorted(
        operation.get("parameters", []), key=lambda one: (one["in"] != "path", not one.get("required"))
    )
    return [
        _field(
            one["name"],
            {"description": one.get("description", "")} | one["schema"],
            bool(one.get("required")),
            shapes,
            where=places.get(one["in"], one["in"]),
        )
        for one in listed
    ]


def _field(
    name: str, schema: Schema, required: bool, shapes: Mapping[str, Schema], *, where: str = ""
) -> Field:
    return Field(name, kind(schema, shapes), required, _default(schema), _told(schema), where)


def _told(schema: Schema) -> Words:
    """The description, without the lines that only say a choice again."""
    lines = str(schema.get("description", "")).splitlines()
    choices = {line: found.groups() for line in lines if (found := CHOICE.match(line))}
    bare = {line for line, (value, label) in choices.items() if _letters(value) == _letters(label)}
    return prose(" ".join(line.removeprefix("* ") for line in lines if line not in bare))


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()


def _default(schema: Schema) -> str:
    if "default" not in schema:
        inner = [one for one in schema.get("oneOf", []) if "default" in one]
        return _default(inner[0]) if inner else ""
    said = schema["default"]
    return _("empty") if said == "" else said if isinstance(said, str) else json.dumps(said)


def _content(type_: str, body: Schema, shapes: Mapping[str, Schema], *, inside: bool = False) -> Content:
    schema = body.get("schema", {})
    named_one = shapes.get(named(schema), schema)
    return Content(type_, kind(schema, shapes), tuple(_fields(named_one, shapes)) if inside else ())


def _fields(schema: Schema, shapes: Mapping[str, Schema], before: str = "") -> Iterator[Field]:
    """What an object has; what an object without a name has inside follows it, as `outer.inner`."""
    required = schema.get("required", [])
    for name, one in schema.get("properties", {}).items():
        yield _field(before + name, one, name in required, shapes)
        yield from _fields(one, shapes, f"{before}{name}.")
        items = one.get("items")
        if isinstance(items, Mapping):
            yield from _fields(items, shapes, f"{before}{name}[].")


def _answers(operation: Schema, shapes: Mapping[str, Schema]) -> tuple[Answer, ...]:
    """Those that say and hold the same stand in one line: nearly all the problems do."""
    alike: dict[tuple[Words, tuple[Content, ...]], list[str]] = defaultdict(list)
    for status, answer in operation.get("responses", {}).items():
        contents = answer.get("content", {})
        told = prose(answer.get("description", "") or _phrase(status))
        alike[told, tuple(_content(t, body, shapes) for t, body in contents.items())].append(status)
    return tuple(Answer(tuple(statuses), *said) for said, statuses in alike.items())


def _phrase(status: str) -> str:
    return HTTPStatus(int(status)).phrase if status.isdigit() else status


def _shape(name: str, shapes: Mapping[str, Schema], sent: set[str]) -> Shape:
    schema = shapes[name]
    fields = tuple(_fields(schema, shapes))
    said = Words((Part(_("object")),)) if fields else kind(schema, shapes)
    return Shape(anchor(name), name, said, _told(schema), fields, name in sent)


def _sent(described: Mapping[str, Any], shapes: Mapping[str, Schema]) -> set[str]:
    """The names that requests carry, those within others too."""
    found: set[str] = set()
    left = [name for _p, _m, one in _operations(described) for name in _names(one.get("requestBody", {}))]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _names(shapes.get(name, {}))
    return found


def _names(part: object) -> Iterator[str]:
    if isinstance(part, Mapping):
        if isinstance(part.get("$ref"), str):
            yield named(part)
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _names(inner)


def _headers(described: Mapping[str, Any]) -> tuple[Header, ...]:
    """The headers of answers, with the statuses that have them: told once, since all operations agree."""
    texts: dict[str, str] = {}
    statuses: dict[str, set[str]] = defaultdict(set)
    for _p, _m, operation in _operations(described):
        for status, answer in operation.get("responses", {}).items():
            for name, header in answer.get("headers", {}).items():
                texts.setdefault(name, header.get("description", ""))
                statuses[name].add(status)
    return tuple(Header(name, prose(text), tuple(sorted(statuses[name]))) for name, text in texts.items())


# --- The line for curl ------------------------------------------------------------------------------


def _curl(path: str, method: str, operation: Schema, shapes: Mapping[str, Schema]) -> str:
    """A line to begin with: what has to be there, in capitals or as a variable where it is the caller's."""
    words = ["curl -sS"]
    bodies = operation.get("requestBody", {}).get("content", {})
    if method not in ("get", "post") or (method == "post" and not bodies):
        words.append(f"-X {method.upper()}")
    words.append('-H "Authorization: Bearer $TOKEN"')
    for type_, body in list(bodies.items())[:1]:
        schema = shapes.get(named(body["schema"]), body["schema"])
        words += _curl_body(type_, schema, shapes)
    asked = [p for p in operation.get("parameters", []) if p["in"] == "query" and p.get("required")]
    query = "&".join(f"{one['name']}={_sample(one['name'], one['schema'], shapes)}" for one in asked)
    place = re.sub(r"\{(\w+)\}", lambda found: f"${found[1].upper()}", path)
    words.append(f'"$HILUM{place}{"?" + query if query else ""}"')
    done = next((a for status, a in operation["responses"].items() if status.startswith("2")), {})
    if any("json" not in type_ for type_ in done.get("content", {})):
        words.append("-o FILE")
    return " ".join(words)


def _curl_body(type_: str, schema: Schema, shapes: Mapping[str, Schema]) -> Iterable[str]:
    fields = {name: schema["properties"][name] for name in schema.get("required", [])}
    if type_ == "multipart/form-data":
        return [
            f"-F {name}={'@FILE' if _is_file(one) else _sample(name, one, shapes)}"
            for name, one in fields.items()
        ]
    body = {name: _sample(name, one, shapes) for name, one in fields.items()}
    return [f'-H "Content-Type: {type_}"', f"-d '{json.dumps(body)}'"]


def _is_file(schema: Schema) -> bool:
    return schema.get("format") == "binary" or schema.get("items", {}).get("format") == "binary"


def _sample(name: str, schema: Schema, shapes: Mapping[str, Schema]) -> Any:
    """A value of the right kind; what a caller has to fill in is its name in capitals."""
    schema = shapes.get(named(schema), schema)
    for inner in ("oneOf", "anyOf", "allOf"):
        if inner in schema:
            return _sample(name, schema[inner][0], shapes)
    if "default" in schema or "enum" in schema:
        return schema.get("default", schema.get("enum", [""])[0])
    types = schema.get("type", "string")
    one = types if isinstance(types, str) else types[0]
    if one == "array":
        return [_sample(name, schema.get("items", {}), shapes)]
    if one == "object":
        return _sample_object(schema, shapes)
    if one in ("integer", "number"):
        return schema.get("minimum", 0)
    return True if one == "boolean" else name.upper()


def _sample_object(schema: Schema, shapes: Mapping[str, Schema]) -> dict[str, Any]:
    values = schema.get("additionalProperties")
    if values and not schema.get("properties"):
        return {"NAME": _sample("value", values, shapes)}
    return {name: _sample(name, schema["properties"][name], shapes) for name in schema.get("required", [])}
