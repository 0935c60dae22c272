"""The schema describes every field and parameter that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from webapp.api.views.docs import schema

Found = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def fields() -> list[Found]:
    """Schema, name and description of every field, those within unnamed objects and lists too."""
    schemas = schema()["components"]["schemas"]
    return [(name, *field) for name, one in schemas.items() for field in _inside(one)]


@pytest.fixture(scope="module")
def parameters() -> list[Found]:
    return [
        (path, one["name"], one)
        for path, methods in schema()["paths"].items()
        for operation in methods.values()
        for one in operation.get("parameters", [])
    ]


def _inside(part: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        for name, field in part.get("properties", {}).items():
            yield name, field
            yield from _inside(field)
        yield from _inside([inner for name, inner in part.items() if name != "properties"])
    if isinstance(part, list):
        for inner in part:
            yield from _inside(inner)


def test_every_field_and_parameter_of_the_api_is_explained(fields, parameters):
    assert len(fields) > 700
    assert len(parameters) > 150
    silent = [
        f"{where} {name}"
        for where, name, text in (*fields, *parameters)
        if not [
            line for line in text.get("description", "").splitlines() if line and not line.startswith("* `")
        ]
    ]
    assert silent == [], "write it in the help_text of the serializer's field or the filter"


def test_no_address_holds_fields_outside_of_a_named_schema():
    assert list(_inside(schema()["paths"])) == []
