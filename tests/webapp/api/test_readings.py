"""Readings are signed and read over the API as on the page."""

from __future__ import annotations

import pytest

from webapp.labels.models import Reading


@pytest.fixture
def where(case) -> str:
    return f"/api/v1/studies/{case.scan.study.pk}/readings/"


@pytest.fixture
def reader(client_of, owner, site):
    return client_of(owner, site, ("scan.view", "scan.label"))


def test_a_reading_is_signed_reported_and_corrected(reader, where, owner):
    assert reader.get(where).json()["results"] == []
    signed = reader.post(where, {"findings": ["pneumonia"], "comment": "left base"}, "json")
    assert signed.status_code == 201
    first = signed.json()
    assert (first["signed_by"], first["findings"]) == (owner.get_username(), ["pneumonia"])
    assert first["evidence"][0]["probabilities"]["pneumonia"] == 0.82
    second = reader.post(where, {"findings": ["normal"], "after": first["id"]}, "json").json()
    reported = reader.get(where).json()["results"]
    assert [one["id"] for one in reported] == [second["id"], first["id"]]
    assert (second["supersedes"], reported[1]["superseded_by"]) == (first["id"], second["id"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"findings": []}, 400, "invalid"),
        ({"findings": ["gout"]}, 400, "invalid"),
        ({"findings": ["normal", "pneumonia"]}, 400, "findings_contradict"),
        ({"findings": ["other"]}, 400, "description_missing"),
        ({"findings": ["normal"], "after": "6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1"}, 409, "conflict"),
    ],
)
def test_what_cannot_be_signed_is_refused_with_a_code(reader, where, body, status, code):
    response = reader.post(where, body, "json")
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not Reading.objects.exists()


def test_many_readings_cost_no_more_queries_than_one(reader, where, django_assert_max_num_queries):
    after = None
    for _ in range(4):
        after = reader.post(where, {"findings": ["normal"], "after": after}, "json").json()["id"]
    with django_assert_max_num_queries(12):
        assert reader.get(where).json()["count"] == 4
