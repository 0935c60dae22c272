"""Site calibrations over the API: preview, set, go back, and what an analysis reports of it."""

from __future__ import annotations

import pytest

from tests import factories, labelled_results
from tests.labelled_results import FINDINGS
from webapp.registry.calibrations import active_calibration

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(db):
    return labelled_results.model()


@pytest.fixture
def where(version) -> str:
    return f"/api/v1/models/{version.pk}/calibration"


def test_a_preview_is_set_as_it_was_seen_and_taken_back(admin, site, version, where):
    labelled_results.results(site, version, 60)
    seen = admin.post(f"{where}s/preview/", {"rate": 0.2}, "json").json()
    assert (seen["problems"], seen["scans"], seen["patients"]) == ([], 60, 60)
    assert seen["proposed"]["findings"]["covid19"]["sensitivity"].keys() == {"value", "low", "high"}
    assert len(seen["curves"]["covid19"]) > 30
    body = {
        "choices": {"rate": 0.2},
        "reason": "why",
        "fingerprint": seen["fingerprint"],
        "until": seen["until"],
    }
    made = admin.post(f"{where}s/", body, "json")
    assert (made.status_code, made.json()["number"]) == (201, 1)
    assert made.json()["thresholds"] == seen["thresholds"]
    assert admin.post(f"{where}s/", body | {"fingerprint": "0"}, "json").json()["code"] == "conflict"
    assert [one["number"] for one in admin.get(f"{where}s/").json()["results"]] == [1]
    assert admin.get(f"{where}/").json()["calibration"]["number"] == 1
    state = admin.post(f"{where}/", {"number": None, "reason": "back"}, "json").json()
    assert state["calibration"] is None
    assert [change["number"] for change in state["changes"]] == [None, 1]
    assert admin.post(f"{where}/", {"number": 9, "reason": "x"}, "json").status_code == 404
    assert active_calibration(site, version) is None


def test_too_few_labels_are_a_coded_conflict(admin, site, version, where):
    labelled_results.results(site, version, 10)
    assert "there are 10" in admin.post(f"{where}s/preview/", {}, "json").json()["problems"][0]
    refused = admin.post(f"{where}s/", {"reason": "why"}, "json")
    assert (refused.status_code, refused.json()["code"]) == (409, "too_few_labels")


@pytest.mark.parametrize(
    "body",
    [
        {"rate": "0.1"},
        {"rate": True},
        {"rate": 0.9},
        {"rule": "chosen", "thresholds": {"normal": 0.5}},
        {"prevalence": "stated", "shares": dict.fromkeys(FINDINGS, 0.5)},
        {"choices": {}},
    ],
    ids=str,
)
def test_wrong_choices_are_refused(admin, where, body):
    refused = admin.post(f"{where}s/preview/", body, "json")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")


def test_another_sites_calibration_is_not_reported(
    admin, client_of, person, site, other_site, version, where
):
    labelled_results.results(site, version, 60)
    admin.post(f"{where}s/", {"reason": "ours"}, "json")
    scopes = ("model.view", "calibration.manage")
    eve = client_of(person("eve", role="admin", site=other_site), other_site, scopes)
    assert eve.get(f"{where}/").json()["calibration"] is None
    assert eve.get(f"{where}s/").json()["results"] == []
    assert eve.post(f"{where}/", {"number": 1, "reason": "x"}, "json").status_code == 404


def test_an_analysis_names_its_calibration_and_keeps_the_models_probabilities(admin, site, version, where):
    labelled_results.results(site, version, 60)
    made = admin.post(f"{where}s/", {"reason": "why"}, "json").json()
    own, shown = ({"normal": p, "pneumonia": 0.1, "covid19": 0.0} for p in (0.9, 0.8))
    analysis = factories.AnalysisFactory(
        scan=factories.ScanFactory(site=site), model_version=version, status="done", probabilities=shown,
        finding="normal", uncertainty=0.5, calibration_id=made["id"],
        model_output={"probabilities": own, "finding": "normal", "uncertainty": 0.4},
    )  # fmt: skip
    one = admin.get(f"/api/v1/analyses/{analysis.pk}/").json()
    assert (one["calibration"], one["probabilities"], one["model_probabilities"]) == ("site-1", shown, own)
    assert one["thresholds"] == made["thresholds"]
    assert one["model"]["thresholds"] == dict.fromkeys(FINDINGS, 0.3)
    rows = admin.get("/api/v1/scans/").json()["results"]
    assert {row["calibration"] for row in rows} == {"model", "site-1"}
