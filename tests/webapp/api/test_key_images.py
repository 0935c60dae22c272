"""Key images over the API: marked, listed and removed."""

from __future__ import annotations

import pytest

from tests.factories import KEY_IMAGE_VIEW
from webapp.labels.marks.models import KeyImage


@pytest.fixture
def where(case) -> str:
    return f"/api/v1/scans/{case.scan.pk}/key-images/"


@pytest.fixture
def reader(client_of, owner, site):
    return client_of(owner, site, ("scan.view", "scan.label"))


def test_a_key_image_is_marked_listed_and_removed(reader, where, case):
    view = KEY_IMAGE_VIEW | {"opacity": 0.5}
    added = reader.post(where, {"view": view}, "json")
    assert (added.status_code, added.json()["view"], added.json()["saved_by"]) == (201, view, "owner")
    own = f"/api/v1/key-images/{added.json()['id']}/"
    assert reader.get(own).json() == added.json()
    assert [one["id"] for one in reader.get(where).json()["results"]] == [
        str(case.key_image.pk),
        added.json()["id"],
    ]
    assert reader.delete(own).status_code == 204
    assert reader.get(own).status_code == reader.delete(own).status_code == 404
    assert reader.get(where).json()["count"] == 1
    assert KeyImage.objects.get(pk=added.json()["id"]).removed_by.username == "owner"


@pytest.mark.parametrize("view", [{}, {"width": 0}, KEY_IMAGE_VIEW | {"area": [5, 5, 1, 1]}, "all of it"])
def test_what_is_no_view_is_refused_with_a_code(reader, where, view):
    response = reader.post(where, {"view": view}, "json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert KeyImage.objects.count() == 1
