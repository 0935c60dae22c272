"""The API's own description, and the page of its codes."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from tests.architecture.source import ROOT, files, tree
from webapp.api.management.commands.error_codes import page
from webapp.api.urls import urlpatterns
from webapp.core.errors import CODES
from webapp.webhooks.kinds import SUBSCRIBABLE

UNDESCRIBED = {"api-schema", "api-docs", "api-missing-slash"}
# Codes that come from elsewhere by a variable, never from a request to the API.
BY_COMMAND_ONLY = {"error.code"}


@pytest.fixture(scope="module")
def schema(tmp_path_factory) -> dict:
    """The description as it is made without a database; a warning fails it."""
    path = tmp_path_factory.mktemp("schema") / "schema.json"
    call_command(
        "spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", "--file", str(path)
    )
    return json.loads(path.read_text())


def operations(schema: dict):
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_it_is_made_without_a_warning_and_knows_every_address(schema):
    assert schema["openapi"].startswith("3.1")
    described = {
        "/api/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(p.pattern))
        for p in urlpatterns
        if p.name not in UNDESCRIBED
    }
    assert set(schema["paths"]) == described


def test_every_operation_names_its_scope_its_problems_and_its_limits(schema):
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for name, operation in operations(schema):
        problems = {
            code
            for code, r in operation["responses"].items()
            if r.get("$ref") == f"#/components/responses/{code}"
        }
        assert {"400", "401", "403", "404", "406", "429"} <= problems, name
        assert [list(one) for one in operation["security"]] == [["bearer"]], name
        done = next(r for code, r in operation["responses"].items() if code.startswith("2"))
        assert "RateLimit-Remaining" in done["headers"], name
        assert operation["summary"].strip(), name
        assert "Scope:" in operation["description"] or "Any token." in operation["description"], name
    assert schema["paths"]["/api/v1/scans/"]["post"]["security"] == [{"bearer": ["scan.upload"]}]


def test_it_is_small_and_names_its_server(schema):
    assert len(json.dumps(schema)) < 500_000
    assert schema["servers"] == [{"url": "/"}]
    assert {r["content"].popitem()[0] for r in schema["components"]["responses"].values()} == {
        "application/problem+json"
    }
    bodies = [one["requestBody"] for _, one in operations(schema) if "requestBody" in one]
    assert sum("examples" in str(body) for body in bodies) >= 5


def test_no_two_operations_have_one_name(schema):
    names = [operation["operationId"] for _, operation in operations(schema)]
    assert len(names) == len(set(names))


def test_no_address_takes_a_name_or_an_identifier(schema):
    named = {p["name"] for _, o in operations(schema) for p in o.get("parameters", []) if p["in"] == "query"}
    assert not named & {"q", "patient_ids", "patient_id", "name", "search", "accession_number", "birth_date"}


@pytest.mark.django_db
def test_the_description_is_not_for_outsiders(client_of, owner, site):
    assert Client().get(reverse("api-schema")).status_code == 401
    assert client_of(owner, site).get(reverse("api-schema")).status_code == 200


def test_the_page_of_codes_is_up_to_date():
    written = Path(ROOT, "docs", "api-errors.md").read_text()
    assert written == page(), "run: python manage.py error_codes > docs/api-errors.md"


def test_every_code_that_is_raised_stands_on_the_page_of_codes():
    raised = {
        argument.value if isinstance(argument, ast.Constant) else ast.unparse(argument)
        for path in files("webapp")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "CodedError" and node.args
        for argument in [node.args[0]]
    }
    assert raised - set(CODES) <= BY_COMMAND_ONLY | {"code"}
    for code in CODES:
        assert f"| `{code}` |" in page()


def test_the_guide_names_every_scope_that_opens_something(schema):
    needed = {scope for _, o in operations(schema) for one in o["security"] for scope in one["bearer"]}
    rows = [line for line in Path(ROOT, "docs", "integrate.md").read_text().splitlines() if line[:2] == "| "]
    named = {scope for row in rows for scope in re.findall(r"`([a-z_]+\.[a-z]+)`", row.split("|")[1])}
    named -= {kind for kind in SUBSCRIBABLE if kind not in needed}
    assert needed == named


def test_the_addresses_that_the_guide_asks_exist_with_their_parameters(schema):
    known = {re.sub(r"\{\w+\}", "$", path): methods for path, methods in schema["paths"].items()}
    guide = Path(ROOT, "docs", "integrate.md").read_text()
    asked = re.findall(r"\$API(/[\w$/-]+/)(?:\?([^\s\"]+))?", guide)
    assert len(asked) >= 8
    for path, query in asked:
        methods = known["/api/v1" + re.sub(r"\$\w+", "$", path)]
        names = {p["name"] for p in methods.get("get", {}).get("parameters", []) if p["in"] == "query"}
        assert {part.split("=")[0] for part in query.split("&") if part} <= names, path


def test_texts_that_are_taken_state_that_they_hold_no_null_character(schema):
    shapes = schema["components"]["schemas"]
    for name, field in (("StudySearchRequest", "q"), ("PatientUnmergeRequest", "reason")):
        stated = shapes[name]["properties"][field]
        assert re.search(stated["pattern"], "a b")
        assert not re.search(stated["pattern"], "a\x00b"), name
        assert not re.search(stated["pattern"], " \t"), name
        assert stated["maxLength"] > 0
    assert shapes["TrainingRunCreateRequest"]["properties"]["data_set"]["maxLength"] == 500


def test_what_may_be_null_states_so_with_its_format(schema):
    shapes = schema["components"]["schemas"]
    for shape, name, kind in (
        ("LabelCreateRequest", "after", "uuid"),
        ("TrainingRunCreateRequest", "snapshot", "uuid"),
        ("QueueCreateRequest", "received_after", "date-time"),
    ):
        stated = shapes[shape]["properties"][name]
        assert stated["anyOf"] == [{"type": "string", "format": kind}, {"type": "null"}], name


def test_a_time_of_day_is_none_of_rfc_3339_for_it_has_no_zone(schema):
    for shape in ("TrainingSchedule", "TrainingScheduleSaveRequest"):
        stated = schema["components"]["schemas"][shape]["properties"]["at"]
        assert "format" not in stated
        assert all(re.search(stated["pattern"], text) for text in ("02:00", "23:59:59.999999"))
        assert not re.search(stated["pattern"], "02:00:00Z")


def test_a_queues_findings_are_described_as_they_are_taken(schema):
    stated = schema["components"]["schemas"]["QueueCreateRequest"]["properties"]["findings"]
    assert (stated["minItems"], stated["maxItems"], stated["uniqueItems"]) == (1, 9, True)
    assert re.search(stated["items"]["pattern"], "pleural_effusion")
    assert not re.search(stated["items"]["pattern"], "Pleural effusion")


@pytest.mark.parametrize("shape", ["LineImage", "ManifestImport", "ModelFile", "ScanUpload", "LabelImport"])
def test_a_file_that_is_taken_is_described_as_not_empty(schema, shape):
    assert schema["components"]["schemas"][f"{shape}Request"]["properties"]["file"]["minLength"] == 1


def test_texts_in_a_query_state_that_they_hold_no_null_character(schema):
    texts = [
        (name, parameter["schema"])
        for name, operation in operations(schema)
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and parameter["schema"].get("type") == "string"
    ]
    free = [(name, stated) for name, stated in texts if not {"enum", "format"} & set(stated)]
    assert len(free) >= 4
    for name, stated in free:
        assert not re.search(stated.get("pattern", ""), "a\x00b"), name
