"""Another explainer's heatmap on the scan page: asked for, waited for, reported in words."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests.factories import ScanFactory, cam
from webapp.analysis.models import Explanation
from webapp.audit.models import AuditEvent
from webapp.pages.scan.explanations import DESCRIPTIONS, FAILURES, NAMES

pytestmark = pytest.mark.django_db


def where(analysis, method: str = "scorecam") -> str:
    return reverse("pages:explanation", args=[analysis.pk, method])


def test_the_page_offers_every_explainer_and_asks_for_none(case, browser, owner):
    page = browser(owner).get(f"/scans/{case.scan.pk}/").content.decode()
    assert all(f">{name}</option>" in page for name in NAMES.values())
    assert f'data-explain="{where(case.analysis, "-")}"' in page
    assert not Explanation.objects.exists()


def test_a_map_is_asked_for_waited_for_and_shown(case, browser, owner, teammate):
    client, colleague = browser(owner), browser(teammate)
    assert client.get(where(case.analysis)).status_code == 404
    asked = client.post(where(case.analysis)).json()
    assert (asked["status"], asked["name"]) == ("queued", "ScoreCAM")
    assert "may take a minute" in asked["text"]
    Explanation.objects.update(status="done", cam=cam().as_dict())
    reported = colleague.get(where(case.analysis)).json()
    assert (reported["status"], reported["cam"]) == ("done", cam().as_dict())
    assert reported["text"] == DESCRIPTIONS["scorecam"]
    assert colleague.post(where(case.analysis)).json() == reported
    assert AuditEvent.objects.filter(action="analysis.explained").count() == 1


@pytest.mark.parametrize("code", [*FAILURES, "gave_up"])
def test_what_went_wrong_is_stated_with_what_to_do(case, browser, owner, code):
    Explanation.objects.create(analysis=case.analysis, method="scorecam", status="failed", error_code=code)
    reported = browser(owner).get(where(case.analysis)).json()
    assert reported["text"].startswith("No ScoreCAM heatmap: ")
    assert reported["text"].endswith(".")
    assert (bool(reported["remedy"]), reported["code"]) == (True, code)
    assert browser(owner).post(where(case.analysis)).json()["status"] == "queued"


def test_an_outsider_asks_for_nothing_and_sees_nothing(case, browser, outsider, person, site):
    Explanation.objects.create(analysis=case.analysis, method="layercam")
    auditor = person("audrey", role="auditor", site=site)
    for who in (outsider, auditor):
        for method in ("layercam", "scorecam"):
            assert browser(who).get(where(case.analysis, method)).status_code == 404
            assert browser(who).post(where(case.analysis, method)).status_code == 404
    assert Explanation.objects.count() == 1


def test_an_explainer_of_no_name_is_not_found(case, browser, owner):
    assert browser(owner).post(where(case.analysis, "tarot")).status_code == 404
    assert browser(owner).post(where(case.analysis, "gradcam")).status_code == 404


def test_what_is_withheld_is_explained_to_who_looks_at_it_knowingly(
    finished_analysis, browser, owner, teammate, site
):
    scan = ScanFactory(site=site)
    analysis = finished_analysis(scan, abstention="lateral_view", pneumonia=0.77)
    client = browser(owner)
    assert client.post(where(analysis)).status_code == 409
    client.post(f"/scans/{scan.pk}/reveal/")
    assert client.post(where(analysis)).status_code == 200
    assert browser(teammate).get(where(analysis)).status_code == 409


def test_with_a_prior_both_maps_are_asked_for(case, finished_analysis, browser, owner):
    other = ScanFactory(site=case.scan.site, series__study__patient=case.patient)
    there = finished_analysis(other, pneumonia=0.3, normal=0.6)
    page = browser(owner).get(f"/scans/{case.scan.pk}/compare/{other.pk}/").content.decode()
    assert f'data-explain-other="{where(there, "-")}"' in page
