"""The admin site shows the records to superusers, and nobody changes them there."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests.factories import AnalysisFactory
from webapp.analysis import services

pytestmark = pytest.mark.django_db
RECORDS = [
    "scans_upload",
    "scans_patient",
    "scans_study",
    "scans_series",
    "scans_scan",
    "scans_scanmove",
    "registry_modelversion",
    "registry_promotion",
    "analysis_analysis",
    "analysis_explanation",
    "analysis_studysummary",
]


@pytest.fixture
def analysis(site):
    analysis = AnalysisFactory(scan__site=site)
    services.analyses_queue([analysis.scan])
    return analysis


@pytest.mark.parametrize("record", RECORDS)
def test_a_superuser_looks_at_records_and_adds_none(client, person, analysis, record):
    client.force_login(person("root", is_superuser=True, is_staff=True))
    assert client.get(reverse(f"admin:{record}_changelist")).status_code == 200
    assert client.get(reverse(f"admin:{record}_add")).status_code == 403


def test_a_record_is_shown_without_a_way_to_change_it(client, person, analysis):
    client.force_login(person("root", is_superuser=True, is_staff=True))
    page = client.get(reverse("admin:analysis_analysis_change", args=[analysis.pk]))
    assert page.status_code == 200
    assert b'name="_save"' not in page.content


def test_a_clinician_finds_no_admin_site(client, owner, analysis):
    client.force_login(owner)
    assert client.get(reverse("admin:scans_scan_changelist"), follow=True).status_code == 404
