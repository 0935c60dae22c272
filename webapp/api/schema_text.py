"""A JSON schema in words: "list of Scan", "text or null", "one of: cxr, ct", with links to the named ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

Schema = Mapping[str, Any]
REFERENCE = "#/components/schemas/"
SHORT = 10  # so many values of a named list are told where it is used
# What a pattern means, where it is read sooner than the pattern.
PATTERNS = {
    r"^[^\x00]*$": lambda: _("without null characters"),
    r"^[^\x00]*[^\s\x00][^\x00]*$": lambda: _("not blank, without null characters"),
}
LONG_PATTERN = 80


@dataclass(frozen=True)
class Part:
    text: str
    link: str = ""
    code: bool = False

    @property
    def html(self) -> SafeString:
        said = format_html("<code>{}</code>", self.text) if self.code else format_html("{}", self.text)
        return format_html('<a href="#{}">{}</a>', self.link, said) if self.link else said


@dataclass(frozen=True)
class Words:
    """Text of which some is code and some leads elsewhere on the page."""

    parts: tuple[Part, ...] = ()

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts)

    @property
    def html(self) -> SafeString:
        return format_html_join("", "{}", ((part.html,) for part in self.parts))

    def __bool__(self) -> bool:
        return bool(self.parts)


def anchor(name: str) -> str:
    return f"schema-{name}"


@cache
def prose(text: str) -> Words:
    """A line of a description, in which `backticks` mark code."""
    pieces = re.split(r"`([^`]+)`", " ".join(text.split()))
    return Words(tuple(Part(piece, code=odd % 2 == 1) for odd, piece in enumerate(pieces) if piece))


def named(schema: Schema) -> str:
    """The name that a reference leads to, or nothing."""
    return str(schema.get("$ref", "")).removeprefix(REFERENCE)


def kind(schema: Schema, shapes: Mapping[str, Schema]) -> Words:
    """What a value may be."""
    return Words(tuple(_kind(schema, shapes)))


def _kind(schema: Schema, shapes: Mapping[str, Schema]) -> list[Part]:
    if name := named(schema):
        return _by_name(name, shapes)
    if alternatives := schema.get("oneOf") or schema.get("anyOf"):
        return _either([_kind(one, shapes) for one in _telling(alternatives)])
    if together := schema.get("allOf"):
        return _joined([_kind(one, shapes) for one in together], _(" and "))
    if "enum" in schema:
        return _one_of(schema["enum"])
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else list(types)
    said = [_typed(one, schema, shapes) for one in types if one != "null"]
    return _either(said + ([[Part(_("null"))]] if "null" in types else []))


def _by_name(name: str, shapes: Mapping[str, Schema]) -> list[Part]:
    shape = shapes.get(name, {})
    values = shape.get("enum")
    # drf-spectacular's names for "nothing" say less than the word.
    if shape.get("type") == "null" or (values and not any(values)):
        return _one_of(values or [None])
    link = Part(name, link=anchor(name))
    if values and len(values) <= SHORT:
        return [link, Part(" ("), *_joined([[Part(str(one), code=True)] for one in values], ", "), Part(")")]
    return [link]


def _telling(alternatives: Iterable[Schema]) -> list[Schema]:
    """Without "or an empty text" beside a text that may be empty anyway."""
    listed = list(alternatives)
    free = any(
        one.get("type") == "string" and not {"format", "minLength"} & set(one) and one.get("maxLength") != 0
        for one in listed
    )
    return [one for one in listed if not (free and one.get("maxLength") == 0)]


def _one_of(values: Iterable[object]) -> list[Part]:
    listed = list(values)
    told = [
        [Part(str(value), code=True) if value else Part(_("empty text"))]
        for value in listed
        if value is not None
    ]
    if not told:
        return [Part(_("null"))]
    said = _joined(told, ", ") if len(told) < 2 else [Part(_("one of: ")), *_joined(told, ", ")]
    return [*said, Part(_(", or null"))] if None in listed else said


def _either(alternatives: list[list[Part]]) -> list[Part]:
    """`A or B`; with a comma before the "or" where it would seem to belong to a part of A only."""
    if not alternatives:
        return [Part(_("anything"))]
    comma = any(len(said) > 1 or _(" or ") in said[0].text for said in alternatives)
    return _joined(alternatives, _(", or ") if comma else _(" or "))


def _joined(many: list[list[Part]], between: str) -> list[Part]:
    return [
        part for place, said in enumerate(many) for part in (([Part(between)] if place else []) + list(said))
    ]


def _typed(one: str, schema: Schema, shapes: Mapping[str, Schema]) -> list[Part]:
    if one == "array":
        return [Part(_("list of ")), *_of(schema.get("items", {}), shapes), *_limits(schema, "Items")]
    if one == "object":
        return _an_object(schema, shapes)
    if one == "string":
        return [Part(_text(schema)), *_limits(schema, "Length"), *_pattern(schema)]
    if one in ("integer", "number"):
        return [Part(_("whole number") if one == "integer" else _("number")), *_range(schema)]
    return [Part({"boolean": _("true or false")}.get(one, one))]


def _of(schema: Schema, shapes: Mapping[str, Schema]) -> list[Part]:
    """What is in a list or a map; in brackets where it is a choice."""
    said = _kind(schema, shapes)
    choice = "oneOf" in schema or "anyOf" in schema or isinstance(schema.get("type"), list)
    limited = not named(schema) and any(part.text.startswith(", ") for part in said)
    return [Part("("), *said, Part(")")] if choice or limited else said


def _an_object(schema: Schema, shapes: Mapping[str, Schema]) -> list[Part]:
    values = schema.get("additionalProperties")
    if not values:
        return [Part(_("object"))]
    if schema.get("properties"):
        return [Part(_("object; under other names: ")), *_kind(values, shapes)]
    return [Part(_("map of name to ")), *_of(values, shapes)]


def _text(schema: Schema) -> str:
    if schema.get("maxLength") == 0:
        return _("empty text")
    formats = {
        "uuid": _("UUID"),
        "date": _("date (YYYY-MM-DD)"),
        "date-time": _("moment (RFC 3339)"),
        "time": _("time of day"),
        "uri": _("address (URI)"),
        "email": _("e-mail address"),
        "binary": _("file"),
    }
    form = schema.get("format", "")
    return formats.get(form, f"{_('text')} ({form})" if form else _("text"))


def _limits(schema: Schema, what: str) -> list[Part]:
    """How long a text or a list may be."""
    low, high = schema.get(f"min{what}", 0), schema.get(f"max{what}")
    unit = _("characters") if what == "Length" else _("items")
    said = [_("each once")] if schema.get("uniqueItems") else []
    if low and high is not None:
        said.insert(0, f"{low} {_('to')} {high} {unit}" if low != high else f"{low} {unit}")
    elif high:
        said.insert(0, f"{_('at most')} {high} {unit}")
    elif low == 1:
        said.insert(0, _("not empty"))
    elif low:
        said.insert(0, f"{_('at least')} {low} {unit}")
    return [Part(f", {one}") for one in said]


def _range(schema: Schema) -> list[Part]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return [Part(f", {low} {_('to')} {high}")]
    if low is not None:
        return [Part(f", {_('at least')} {low}")]
    return [Part(f", {_('at most')} {high}")] if high is not None else []


def _pattern(schema: Schema) -> list[Part]:
    pattern = schema.get("pattern")
    if not pattern:
        return []
    if pattern in PATTERNS:
        return [Part(f", {PATTERNS[pattern]()}")]
    if len(pattern) > LONG_PATTERN:
        return [Part(", " + _("of a pattern that stands in the schema"))]
    shown = pattern.encode("ascii", "backslashreplace").decode()
    return [Part(", " + _("like ")), Part(shown, code=True)]
