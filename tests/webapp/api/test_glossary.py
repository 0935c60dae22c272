"""The API's description explains all that it names, and the glossary holds nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from webapp.api.glossary import (
    FIELDS,
    PARAMETERS,
    explain,
    field_entry,
    imaging,
    labels,
    models,
    parameter_entry,
    says_nothing,
    service,
)
from webapp.api.views.docs import _described

Found = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def fields() -> list[Found]:
    """Schema, name and description of every field, those within unnamed objects and lists too."""
    schemas = _described()["components"]["schemas"]
    return [(name, *field) for name, schema in schemas.items() for field in _inside(schema)]


@pytest.fixture(scope="module")
def parameters() -> list[Found]:
    return [
        (path, one["name"], one)
        for path, methods in _described()["paths"].items()
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
        for where, name, said in (*fields, *parameters)
        if says_nothing(said.get("description", ""))
    ]
    assert silent == [], "say it in the serializer's or filter's help_text, or in webapp/api/glossary"


def test_no_address_holds_fields_outside_of_a_named_schema():
    assert list(_inside(_described()["paths"])) == []


def test_no_entry_of_the_glossary_is_unused(fields, parameters):
    for texts, entry, found in ((FIELDS, field_entry, fields), (PARAMETERS, parameter_entry, parameters)):
        keys = [(entry(where, name), said.get("description", "")) for where, name, said in found]
        used = {key for key, description in keys if key and description.startswith(texts[key])}
        assert set(texts) - used == set(), "the name is gone, or a help_text took its place"


def test_no_topic_of_the_glossary_overrules_another():
    topics = (service, imaging, labels, models)
    assert sum(len(topic.FIELDS) for topic in topics) == len(FIELDS)


def test_what_a_serializer_says_itself_wins_and_a_list_of_choices_is_kept():
    schemas = {
        "PatchedScanRequest": {
            "properties": {
                "sex": {"type": "string", "description": "as its own serializer has it"},
                "status": {"$ref": "#/components/schemas/Stage"},
                "slot": {"enum": ["ct"], "description": "* `ct` - ct"},
                "unheard_of": {"type": "string"},
            }
        }
    }
    told = explain({"components": {"schemas": schemas}, "paths": {}}, None, None, True)
    said = told["components"]["schemas"]["PatchedScanRequest"]["properties"]
    assert said["sex"]["description"] == "as its own serializer has it"
    assert said["status"] == {
        "allOf": [{"$ref": "#/components/schemas/Stage"}],
        "description": FIELDS["Scan.status"],
    }
    assert said["slot"]["description"] == f"{FIELDS['slot']}\n\n* `ct` - ct"
    assert "description" not in said["unheard_of"]
    assert "description" not in schemas["PatchedScanRequest"]["properties"]["status"], "a copy is explained"
