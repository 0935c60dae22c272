"""Unknown names are errors: in every body of every endpoint, and in every query string."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.webapp.api.test_routes import ROUTES, address, view_of

WRITES = [(method, name) for method, name, _ in ROUTES if method != "GET"]


@pytest.mark.parametrize(("method", "name"), WRITES, ids=str)
def test_an_unknown_field_is_an_error_on_every_endpoint(method, name, admin, case):
    types = [parser.media_type for parser in view_of(name).parser_classes]
    form = "multipart" if "multipart/form-data" in types else "json"
    response = getattr(admin, method.lower())(address(name, case), {"surprise": "x"}, form)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert list(response.json()["errors"]) == ["surprise"]


@pytest.mark.parametrize(("method", "name"), [(m, n) for m, n, _ in ROUTES], ids=str)
def test_an_unknown_parameter_is_an_error_on_every_endpoint(method, name, admin, case):
    response = getattr(admin, method.lower())(f"{address(name, case)}?surprise=x")
    assert (response.status_code, list(response.json()["errors"])) == (400, ["surprise"])


def test_the_nearest_known_name_is_suggested(admin, case):
    file = SimpleUploadedFile("a.png", b"\x89PNG")
    response = admin.post("/api/v1/scans/", {"file": file, "patientid": "P-33", "study_date": "x"})
    errors = response.json()["errors"]
    assert "Did you mean patient_id?" in errors["patientid"][0]
    known = "Known: age, date, date_relative, file, modality, patient_id, sex, study, view."
    assert known in errors["study_date"][0]
    where = f"/api/v1/webhooks/{case.webhook.pk}/"
    response = admin.patch(where, {"activ": False}, "json")
    assert "Did you mean active?" in response.json()["errors"]["activ"][0]
    assert admin.get(where).json()["active"] is True
    response = admin.get("/api/v1/scans/?recieved_after=2026-11-20T08:00:00Z")
    assert "Did you mean received_after?" in response.json()["errors"]["recieved_after"][0]


def test_an_unknown_field_inside_another_is_an_error(admin, case):
    region = {"finding": "normal", "x": 1, "y": 1, "width": 5, "height": 5, "radius": 2}
    body = {"scan": str(case.scan.pk), "findings": {"normal": "present"}, "regions": [region]}
    response = admin.post("/api/v1/labels/", body, "json")
    assert (response.status_code, "radius" in str(response.json()["errors"])) == (400, True)
