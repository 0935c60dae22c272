"""Maps by other explainers over the API."""

from __future__ import annotations

import pytest

from tests.factories import AnalysisFactory, cam
from webapp.analysis.models import Explanation
from webapp.audit.models import AuditEvent


def where(case, method: str = "") -> str:
    return f"/api/v1/analyses/{case.analysis.pk}/explanations/" + (f"{method}/" if method else "")


def test_a_map_is_asked_for_and_fetched_when_it_is_there(client, case, owner):
    response = client.post(where(case), {"method": "gradcam++"}, "json")
    assert (response.status_code, response.json()["status"], response.json()["cam"]) == (202, "queued", None)
    assert AuditEvent.objects.get(action="analysis.explained").actor == owner
    assert client.get(response["Location"]).json()["status"] == "queued"
    made = Explanation.objects.filter(method="gradcam++")
    made.update(status="done", cam=cam().as_dict() | {"scale": 1.0}, seconds=2.5)
    reported = client.get(where(case, "gradcam++")).json()
    assert (reported["status"], reported["relative"], reported["cam"]["scale"]) == ("done", True, 1.0)
    assert "not a medical device" in reported["disclaimer"]
    again = client.post(where(case), {"method": "gradcam++"}, "json")
    assert (again.status_code, again.json()["cam"]) == (200, reported["cam"])
    assert AuditEvent.objects.filter(action="analysis.explained").count() == 1


def test_what_was_asked_for_is_listed_without_the_maps(client, case, django_assert_max_num_queries):
    made = Explanation.objects.filter(pk=case.explanation.pk)
    made.update(status="failed", error_code="explainer_too_slow")
    for method in ("hirescam", "eigencam", "scorecam"):
        Explanation.objects.create(analysis=case.analysis, method=method, status="done", cam=cam().as_dict())
    with django_assert_max_num_queries(8):
        reported = client.get(where(case)).json()["results"]
    assert [(one["method"], one["status"], one["reason"]) for one in reported] == [
        ("layercam", "failed", "explainer_too_slow"),
        ("hirescam", "done", None),
        ("eigencam", "done", None),
        ("scorecam", "done", None),
    ]
    assert all(one["cam"] is None for one in reported)


@pytest.mark.parametrize("method", ["gradcam", "tarot", None, 7])
def test_only_known_methods_can_be_asked_for(client, case, method):
    response = client.post(where(case), {"method": method}, "json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert list(response.json()["errors"]) == ["method"]


def test_a_map_that_nobody_asked_for_is_not_found(client, case):
    assert client.get(where(case, "scorecam")).status_code == 404
    assert client.get(where(case, "gradcam")).status_code == 404


def test_without_an_result_there_is_nothing_to_explain(client, case):
    waiting = AnalysisFactory(scan=case.scan)
    response = client.post(f"/api/v1/analyses/{waiting.pk}/explanations/", {"method": "layercam"}, "json")
    assert (response.status_code, response.json()["code"]) == (409, "not_ready")


def test_a_withheld_results_map_is_marked(client, case):
    case.analysis.withheld, case.analysis.abstention = True, "low_confidence"
    case.analysis.save()
    assert client.get(where(case, "layercam")).json()["withheld"] is True
