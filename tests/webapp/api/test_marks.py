"""Measurements and marks over the API: saved, changed and deleted in versions."""

from __future__ import annotations

import pytest

from webapp.labels.marks.models import ImageMark


@pytest.fixture
def where(case) -> str:
    return f"/api/v1/scans/{case.scan.pk}/marks/"


@pytest.fixture
def reader(client_of, owner, site):
    return client_of(owner, site, ("scan.view", "scan.label"))


def test_a_mark_is_saved_changed_and_deleted(reader, where, case):
    body = {"kind": "arrow", "points": [[1, 2], [30, 40]], "text": "nodule"}
    first = reader.post(where, body, "json")
    assert (first.status_code, first.json()["points"]) == (201, [[1.0, 2.0], [30.0, 40.0]])
    change = {"points": [[1, 2], [50, 60]], "text": "scar"}
    second = reader.patch(f"/api/v1/marks/{first.json()['id']}/", change, "json").json()
    last = reader.delete(f"/api/v1/marks/{second['id']}/")
    assert (last.status_code, last.json()["deleted"]) == (201, True)
    versions = reader.get(where).json()["results"][1:]
    assert [v["text"] for v in versions] == ["nodule", "scar", "scar"]
    assert [v["superseded_by"] for v in versions] == [second["id"], last.json()["id"], None]


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "circle", "points": [[1, 1], [9, 9]]},
        {"kind": "length", "points": [[1, 1], [9, "9"]]},
        {"kind": "length", "points": [[1, 1], [9]]},
        {"kind": "length", "points": [[1, 1], [9000, 9]]},
        {"kind": "length", "points": [[1, 1], [9, 9]], "values": {"mm": 3}},
    ],
)
def test_what_is_no_mark_is_refused_with_a_code(reader, where, body):
    before = ImageMark.objects.count()
    response = reader.post(where, body, "json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert ImageMark.objects.count() == before


def test_many_marks_cost_no_more_queries_than_one(reader, where, django_assert_max_num_queries):
    for n in range(1, 5):
        reader.post(where, {"kind": "length", "points": [[0, 0], [10 * n, 0]]}, "json")
    with django_assert_max_num_queries(10):
        assert reader.get(where).json()["count"] == 5
