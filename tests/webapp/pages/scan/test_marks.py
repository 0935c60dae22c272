"""Marks as the viewer saves them: for whoever may label, with the reason where one is refused."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from webapp.accounts.preferences import set_preference
from webapp.labels.marks.models import ImageMark
from webapp.labels.marks.services import mark_add

pytestmark = pytest.mark.django_db
LENGTH = {"kind": "length", "points": [[10, 10], [40, 50]], "text": ""}


def url_of(scan):
    return reverse("pages:scan_marks", args=[scan.pk])


def sent(client, method, url, body=None):
    more = {"data": json.dumps(body), "content_type": "application/json"} if body is not None else {}
    return getattr(client, method)(url, HTTP_ACCEPT="application/json", **more)


def test_a_mark_is_saved_changed_and_deleted_with_the_name_of_whoever_did_it(case, browser, owner, teammate):
    first = sent(browser(owner), "post", url_of(case.scan), LENGTH)
    assert first.status_code == 201
    assert (first.json()["values"], first.json()["by"]) == ({"px": 50.0}, "owner")
    mark = reverse("pages:mark", args=[first.json()["id"]])
    second = sent(browser(teammate), "patch", mark, {"points": [[10, 10], [40, 10]], "text": "node"})
    assert (second.status_code, second.json()["values"], second.json()["by"]) == (
        201,
        {"px": 30.0},
        "teammate",
    )
    assert sent(browser(owner), "get", url_of(case.scan)).json() == {"marks": [second.json()]}
    gone = sent(browser(owner), "delete", reverse("pages:mark", args=[second.json()["id"]]))
    assert gone.status_code == 200
    assert sent(browser(owner), "get", url_of(case.scan)).json() == {"marks": []}
    assert ImageMark.objects.count() == 3


def test_the_page_carries_the_marks_and_where_to_save_them(case, browser, owner):
    mark_add(scan=case.scan, actor=owner, kind="length", points=LENGTH["points"])
    page = browser(owner).get(reverse("pages:scan", args=[case.scan.pk]))
    (source,) = page.context["marks"]
    assert (source["url"], source["may"]) == (url_of(case.scan), True)
    assert [one["by"] for one in source["marks"]] == ["owner"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"kind": "length"},
        {"kind": "length", "points": "12"},
        {"kind": "length", "points": [["a", 1], [2, 3]]},
        {"kind": "length", "points": [[True, 1], [2, 3]]},
        {"kind": "length", "points": [[1, 1], [1e9, 3]]},
        {"kind": "circle", "points": [[1, 1], [2, 3]]},
        {"kind": "arrow", "points": [[1, 1], [20, 30]], "text": ""},
    ],
)
def test_what_is_no_mark_is_refused_with_code_and_remedy(case, browser, owner, body):
    response = sent(browser(owner), "post", url_of(case.scan), body)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert response.json()["detail"]
    assert not ImageMark.objects.exists()


def test_a_mark_that_was_changed_meanwhile_is_not_overwritten(case, browser, owner):
    mark = sent(browser(owner), "post", url_of(case.scan), LENGTH).json()
    url, change = reverse("pages:mark", args=[mark["id"]]), {"points": [[1, 1], [9, 9]], "text": ""}
    assert sent(browser(owner), "patch", url, change).status_code == 201
    refused = sent(browser(owner), "patch", url, change)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert "Reload" in refused.json()["remedy"]


def test_outsiders_find_neither_the_scan_nor_its_marks(case, browser, owner, outsider):
    mark = mark_add(scan=case.scan, actor=owner, kind="length", points=LENGTH["points"])
    elsewhere, url = browser(outsider), reverse("pages:mark", args=[mark.pk])
    assert sent(elsewhere, "get", url_of(case.scan)).status_code == 404
    assert sent(elsewhere, "post", url_of(case.scan), LENGTH).status_code == 404
    assert sent(elsewhere, "patch", url, LENGTH).status_code == 404
    assert sent(elsewhere, "delete", url).status_code == 404
    assert ImageMark.objects.count() == 1


def test_marks_of_others_are_hidden_until_the_first_impression(case, browser, owner, teammate):
    mark_add(scan=case.scan, actor=teammate, kind="length", points=LENGTH["points"])
    own = mark_add(scan=case.scan, actor=owner, kind="length", points=LENGTH["points"])
    set_preference(user=owner, key="read_first", value=True)
    shown = sent(browser(owner), "get", url_of(case.scan)).json()["marks"]
    assert [one["id"] for one in shown] == [str(own.pk)]
