"""The documentation page: every operation and schema with its types."""

from __future__ import annotations

import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.urls import reverse

from webapp.api.api_docs import api_docs, type_of
from webapp.api.views import docs
from webapp.api.views.docs import schema

SHAPES = {
    "Scan": {"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}}},
    "Slot": {"type": "string", "enum": ["cxr", "ct"]},
    "Many": {"type": "string", "enum": [f"value{n}" for n in range(30)]},
    "NullEnum": {"type": "null"},
    "BlankEnum": {"enum": [""]},
}
SCAN, SLOT, NOTHING, BLANK, MANY = (
    {"$ref": f"#/components/schemas/{name}"} for name in ("Scan", "Slot", "NullEnum", "BlankEnum", "Many")
)
SCAN_OR_MORE = SHAPES["Scan"] | {"additionalProperties": {"type": "number"}}


class Page(HTMLParser):
    """The ids of a page, and where its links, scripts and styles lead."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links |= {value for name, value in attrs if name in ("href", "src", "action") and value}


@pytest.fixture
def response(db, owner):
    browser = Client()
    browser.force_login(owner)
    return browser.get(reverse("api-docs"))


@pytest.fixture
def page(response) -> Page:
    return Page(response.content.decode())


@pytest.fixture(scope="module")
def reported():
    return api_docs(schema())


def operation(reported, name: str):
    return next(one for _, group in reported.groups for one in group if one.id == name)


def shape(reported, name: str):
    return next(one for one in reported.schemas if one.name == name)


def test_every_operation_and_schema_stands_on_the_page_under_its_name(page):
    described = schema()
    names = [one["operationId"] for methods in described["paths"].values() for one in methods.values()]
    assert len(names) > 90
    names += [f"schema-{name}" for name in described["components"]["schemas"]]
    assert set(names) - set(page.ids) == set()


def test_every_link_within_the_page_leads_to_one_place(page):
    assert [name for name, times in Counter(page.ids).items() if times > 1] == []
    within = {link[1:] for link in page.links if link.startswith("#")}
    assert len(within) > 150
    assert within - set(page.ids) == set()


def test_it_needs_nothing_from_elsewhere_and_no_exception_from_the_content_policy(response, page):
    assert [link for link in page.links if not re.match(r"#|/(?!/)", link)] == []
    assert reverse("api-schema") in page.links
    assert "unsafe" not in response["Content-Security-Policy"]
    assert re.findall(r"<[^>]* (?:style|on[a-z]+)=", response.content.decode()) == []


@pytest.mark.django_db
def test_who_is_not_signed_in_is_sent_to_sign_in():
    response = Client().get(reverse("api-docs"))
    assert response.status_code == 302
    assert response["Location"] == f"{reverse('accounts:sign_in')}?next={reverse('api-docs')}"


def test_it_is_drawn_once(response, monkeypatch, owner):
    def again(described):
        raise AssertionError("drawn a second time")

    monkeypatch.setattr("webapp.api.views.docs.api_docs", again)
    browser = Client()
    browser.force_login(owner)
    assert browser.get(reverse("api-docs")).status_code == 200


def test_two_requests_at_once_generate_the_schema_once(monkeypatch):
    class Generator:
        made = 0

        def get_schema(self, **options):
            Generator.made += 1
            time.sleep(0.05)
            return {"paths": {}}

    monkeypatch.setattr(docs, "SchemaGenerator", Generator)
    docs._schema.cache_clear()
    try:
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(lambda _: docs.schema(), range(2))) == [{"paths": {}}] * 2
    finally:
        docs._schema.cache_clear()
    assert Generator.made == 1


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "string"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"type": ["string", "null"], "format": "date-time"}, "string(date-time) | null"),
        ({"type": ["integer", "null"], "minimum": 1, "maximum": 3}, "integer (1 to 3) | null"),
        ({"type": "number", "minimum": 0}, "number (at least 0)"),
        ({"type": "string", "maxLength": 9}, "string (at most 9 characters)"),
        ({"type": "array", "items": SCAN}, '<a href="#schema-Scan">Scan</a>[]'),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "(string | null)[]"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "object&lt;number&gt;"),
        ({"type": "object", "additionalProperties": {}}, "object"),
        ({"enum": ["ct", "a<b", None], "type": "string"}, "&quot;ct&quot; | &quot;a&lt;b&quot; | null"),
        ({"oneOf": [SCAN, {"type": "null"}]}, '<a href="#schema-Scan">Scan</a> | null'),
        (
            {"oneOf": [SLOT, NOTHING]},
            '<a href="#schema-Slot">Slot</a> (&quot;cxr&quot; | &quot;ct&quot;) | null',
        ),
        ({"oneOf": [MANY, BLANK]}, '<a href="#schema-Many">Many</a> | &quot;&quot;'),
        ({"anyOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]}, "string(uuid) | null"),
        ({}, "any"),
    ],
)
def test_a_type_is_written_as_openapi_has_it(schema, words):
    assert type_of(schema, SHAPES) == words


def test_an_operation_has_parameters_a_body_and_responses(reported):
    one = operation(reported, "scans_list")
    listed = {field.name: field for field in one.parameters}
    assert (listed["limit"].place, listed["limit"].type, listed["limit"].default) == (
        "query",
        "integer (1 to 200)",
        "50",
    )
    assert listed["modality"].text == "only this kind of image", "the choices are in the type"
    one = operation(reported, "scan_upload")
    assert (one.method, one.path, one.summary) == ("POST", "/scans/", "Upload an image, or a ZIP of images")
    assert [type_ for type_, _ in one.bodies] == ["multipart/form-data", "application/dicom"]
    assert "<code>scan.upload</code>" in one.text
    problems = next(result for result in one.results if "RFC 9457" in result.text)
    assert "400, 401" in problems.statuses


def test_every_field_and_parameter_on_the_page_has_a_description(reported):
    listed = [field for shape in reported.schemas for field in shape.fields]
    listed += [field for _, group in reported.groups for one in group for field in one.parameters]
    assert len(listed) > 700
    assert [field.name for field in listed if not field.text] == []


def test_the_fields_of_an_unnamed_object_follow_it(reported):
    rules = {field.name: field.type for field in shape(reported, "Policy").fields}
    assert rules["rules.sensitivity_margin"] == "number (0 to 1)"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("scans_list", '"$HILUM/api/v1/scans/"'),
        ("scan_upload", '-F file=@FILE "$HILUM/api/v1/scans/"'),
        ("scan_retry", '-X POST -H "Authorization: Bearer $TOKEN" "$HILUM/api/v1/scans/$SCAN_ID/retry/"'),
        ("patients_search", """-d '{"q": "P-7"}' "$HILUM/api/v1/patients/search/\""""),
    ],
)
def test_an_operation_has_a_command_to_start_from(reported, name, line):
    curl = operation(reported, name).curl
    assert curl.startswith("curl -sS ")
    assert curl.endswith(line)
