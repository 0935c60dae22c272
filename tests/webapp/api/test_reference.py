"""The API's description as people read it: every operation and schema on one page, in words."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.urls import reverse

from webapp.api.api_docs import reference
from webapp.api.schema_text import kind, prose
from webapp.api.views.docs import _described

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
def answer(db, owner):
    browser = Client()
    browser.force_login(owner)
    return browser.get(reverse("api-docs"))


@pytest.fixture
def page(answer) -> Page:
    return Page(answer.content.decode())


@pytest.fixture(scope="module")
def told():
    return reference(_described())


def operation(told, name: str):
    return next(one for group in told.groups for one in group.operations if one.id == name)


def shape(told, name: str):
    return next(one for one in told.shapes if one.name == name)


def fields(of) -> dict[str, str]:
    return {field.name: field.kind.text for field in of}


def test_every_operation_and_schema_stands_on_the_page_under_its_name(page):
    described = _described()
    names = [one["operationId"] for methods in described["paths"].values() for one in methods.values()]
    assert len(names) > 90
    names += [f"schema-{name}" for name in described["components"]["schemas"]]
    assert set(names) - set(page.ids) == set()


def test_every_link_within_the_page_leads_to_one_place(page):
    assert [name for name, times in Counter(page.ids).items() if times > 1] == []
    within = {link[1:] for link in page.links if link.startswith("#")}
    assert len(within) > 200
    assert within - set(page.ids) == set()


def test_it_needs_nothing_from_elsewhere_and_no_exception_from_the_content_policy(answer, page):
    assert [link for link in page.links if not re.match(r"#|/(?!/)", link)] == []
    assert reverse("api-schema") in page.links
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert re.findall(r"<[^>]* (?:style|on[a-z]+)=", answer.content.decode()) == []


@pytest.mark.django_db
def test_who_is_not_signed_in_is_sent_to_sign_in():
    answer = Client().get(reverse("api-docs"))
    assert answer.status_code == 302
    assert answer["Location"] == f"{reverse('accounts:sign_in')}?next={reverse('api-docs')}"


def test_it_is_drawn_once(answer, monkeypatch, owner):
    def again(described):
        raise AssertionError("drawn a second time")

    monkeypatch.setattr("webapp.api.views.docs.reference", again)
    browser = Client()
    browser.force_login(owner)
    assert browser.get(reverse("api-docs")).status_code == 200


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "text"),
        ({"type": ["string", "null"]}, "text or null"),
        ({"type": ["string", "null"], "format": "date-time"}, "moment (RFC 3339) or null"),
        ({"type": ["boolean", "null"]}, "true or false, or null"),
        ({"type": ["integer", "null"], "minimum": 1, "maximum": 3}, "whole number, 1 to 3, or null"),
        ({"type": "number", "minimum": 0}, "number, at least 0"),
        ({"type": "string", "minLength": 1, "maxLength": 9}, "text, 1 to 9 characters"),
        ({"type": "string", "pattern": "^[^\\x00]*$"}, "text, without null characters"),
        ({"type": "string", "pattern": "^a\u200b$"}, "text, like ^a\\u200b$"),
        ({"type": "array", "items": SCAN}, "list of Scan"),
        ({"type": ["array", "null"], "items": SCAN}, "list of Scan, or null"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "list of (text or null)"),
        (
            {"type": "array", "items": SCAN, "minItems": 1, "uniqueItems": True},
            "list of Scan, not empty, each once",
        ),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "map of name to number"),
        ({"type": "object", "additionalProperties": {}}, "object"),
        (SCAN_OR_MORE, "object; under other names: number"),
        ({"enum": ["ct", "cxr"], "type": "string"}, "one of: ct, cxr"),
        ({"enum": ["ct", "cxr", None], "type": ["string", "null"]}, "one of: ct, cxr, or null"),
        ({"allOf": [SLOT], "default": "cxr"}, "Slot (cxr, ct)"),
        ({"oneOf": [SLOT, NOTHING]}, "Slot (cxr, ct), or null"),
        ({"oneOf": [SCAN, {"type": "null"}]}, "Scan or null"),
        ({"oneOf": [MANY, BLANK]}, "Many or empty text"),
        ({"anyOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]}, "UUID or null"),
        ({"anyOf": [{"type": "string"}, {"type": "string", "maxLength": 0}]}, "text"),
        ({}, "anything"),
    ],
)
def test_what_a_value_may_be_is_said_in_words(schema, words):
    assert kind(schema, SHAPES).text == words


def test_a_schema_with_a_name_is_a_link_to_it():
    assert kind({"type": "array", "items": SCAN}, SHAPES).html == 'list of <a href="#schema-Scan">Scan</a>'


def test_a_description_shows_code_as_code_and_markup_as_text():
    assert prose("see `GET /a/`\n<b>").html == "see <code>GET /a/</code> &lt;b&gt;"


def test_a_parameter_says_where_it_goes_what_it_may_be_and_what_it_is_unless_said(told):
    listed = {one.name: one for one in operation(told, "scans_list").parameters}
    assert listed["limit"].where == "query"
    assert listed["limit"].kind.text == "whole number, 1 to 200"
    assert listed["limit"].default == "50"
    assert listed["modality"].kind.text == "one of: ct, cxr, phantom"
    assert listed["modality"].text.text == "only this kind of image", "a choice is not said twice"
    assert listed["received_after"].text.text == "this moment or later"
    first = operation(told, "scan_retrieve").parameters[0]
    assert (first.name, first.where, first.required) == ("scan_id", "path", True)


def test_an_operation_says_its_scope_its_body_and_its_answers(told):
    one = operation(told, "scan_upload")
    assert (one.method, one.path, one.scope) == ("POST", "/scans/", "scan.upload")
    assert not any("Scope:" in text.text for text in (one.summary, *one.text))
    assert one.bodies[0].type == "multipart/form-data"
    assert one.bodies[0].fields[0].name == "file"
    assert one.bodies[0].fields[0].required
    held = {status: answer for answer in one.answers for status in answer.statuses}
    assert held["201"].contents[0].kind.text == "Scan"
    assert held["400"] is held["429"], "problems that are alike stand in one line"
    assert operation(told, "me").scope == ""


def test_a_list_that_may_be_null_says_so(told):
    assert fields(shape(told, "Snapshot").fields)["warnings"] == "list of Warning, or null"


def test_every_field_and_parameter_on_the_page_has_its_meaning_beside_it(told):
    listed = [field for shape in told.shapes for field in shape.fields]
    for group in told.groups:
        for one in group.operations:
            listed += [*one.parameters, *(field for body in one.bodies for field in body.fields)]
    assert len(listed) > 900
    assert [field.name for field in listed if not field.text] == []


def test_a_reference_keeps_its_link_beside_its_meaning(told):
    field = next(field for field in shape(told, "Analysis").fields if field.name == "model")
    assert 'href="#schema-Model"' in field.kind.html
    assert field.text.text == "the version that was applied"


def test_what_is_inside_an_object_without_a_name_follows_it(told):
    assert fields(shape(told, "Policy").fields)["rules.sensitivity_margin"] == "number, 0 to 1"


def test_a_schema_knows_whether_requests_carry_it(told):
    assert shape(told, "RegionRequest").sent
    assert not shape(told, "Scan").sent


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("scans_list", '"$HILUM/api/v1/scans/"'),
        ("scan_upload", '-F file=@FILE "$HILUM/api/v1/scans/"'),
        ("scan_retry", '-X POST -H "Authorization: Bearer $TOKEN" "$HILUM/api/v1/scans/$SCAN_ID/retry/"'),
        ("patients_search", """-d '{"q": "Q"}' "$HILUM/api/v1/patients/search/\""""),
        (
            "label_create",
            """-d '{"findings": {"NAME": "present"}, "scan": "SCAN"}' "$HILUM/api/v1/labels/\"""",
        ),
        ("model_artifact", '"$HILUM/api/v1/models/$MODEL_ID/artifact/" -o FILE'),
    ],
)
def test_an_operation_has_a_line_to_begin_with(told, name, line):
    curl = operation(told, name).curl
    assert curl.startswith("curl -sS ")
    assert 'Authorization: Bearer $TOKEN"' in curl
    assert curl.endswith(line)
