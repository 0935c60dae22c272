"""The page for auditors: filters, who saw a patient, older events, and a CSV without formulas."""

from __future__ import annotations

import csv
import io

import pytest
from django.core.cache import cache
from django.urls import reverse

from tests import factories
from webapp.audit.models import AuditEvent
from webapp.audit.services import record
from webapp.pages.audit.words import action_in_words, detail_in_words, record_in_words
from webapp.scans.models import PatientMerge

pytestmark = pytest.mark.django_db
PAGE = "/audit/"


@pytest.fixture
def auditor(browser, person, site):
    return browser(person("vera", role="auditor", site=site))


def shown(response) -> list[str]:
    return [row["event"].action for row in response.context["rows"]]


def test_only_who_may_read_the_audit_log_sees_it(browser, owner, auditor, case):
    assert browser(owner).get(PAGE).status_code == 403
    assert auditor.get(PAGE).status_code == 200


def test_who_saw_a_patient_is_found_by_their_id(auditor, browser, owner, teammate, case):
    cache.clear()
    patient = case.scan.patient
    for reader in (owner, teammate):
        browser(reader).get(reverse("pages:scan", args=[case.scan.pk]))
    response = auditor.post("/audit/find/", {"patient_id": patient.patient_id}, follow=True)
    assert {one["name"] for one in response.context["viewers"]} >= {"owner", "teammate"}
    assert shown(response).count("patient.viewed") == 2
    assert patient.patient_id not in response.redirect_chain[0][0]


def test_what_was_seen_of_a_merged_patient_counts(auditor, owner, site, case):
    record(actor=owner, site=site, action="patient.viewed", subject=case.scan.patient)
    kept = factories.PatientFactory(site=site)
    PatientMerge.objects.create(source=case.scan.patient, target=kept, actor=owner, reason="one person")
    response = auditor.get(PAGE, {"patient": str(kept.pk)})
    assert "patient.viewed" in shown(response)


def test_events_of_another_site_are_not_shown(auditor, outsider, other_site, case):
    record(actor=outsider, site=other_site, action="patient.viewed", patient=case.scan.patient.pk)
    assert "patient.viewed" not in shown(auditor.get(PAGE, {"patient": str(case.scan.patient.pk)}))


def test_events_are_found_by_user_action_and_day(auditor, owner, teammate, site):
    record(actor=owner, site=site, action="scan.moved")
    record(actor=teammate, site=site, action="scan.moved")
    assert shown(auditor.get(PAGE, {"actor": str(owner.pk), "action": "scan."})) == ["scan.moved"]
    assert shown(auditor.get(PAGE, {"action": "scan.moved", "until": "2020-01-01"})) == []
    assert len(shown(auditor.get(PAGE, {"action": "scan.moved", "since": "2020-01-01"}))) == 2


def test_older_events_follow_without_gap_or_repetition(auditor, owner, site):
    made = [record(actor=owner, site=site, action="scan.moved", detail={"n": n}).pk for n in range(120)]
    seen, before = [], ""
    while True:
        response = auditor.get(PAGE, {"action": "scan.moved"} | ({"before": before} if before else {}))
        seen += [row["event"].pk for row in response.context["rows"]]
        before = response.context["older"]
        if not before:
            break
    assert seen == made[::-1]


def test_an_export_holds_no_formula_and_is_recorded(auditor, owner, site, person):
    site.name = "=HYPERLINK(1)"
    site.save()
    record(actor=owner, site=site, action="scan.moved")
    response = auditor.post("/audit/export/", {"action": "scan.moved"})
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"))))
    assert [(row["action"], row["user"], row["site"]) for row in rows] == [
        ("scan.moved", "owner", "'=HYPERLINK(1)")
    ]
    assert AuditEvent.objects.filter(action="audit.exported").count() == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("patient.viewed", "Patient viewed"),
        ("access.posted", "Form submitted"),
        ("training_schedule.changed", "Training schedule changed"),
        ("token.", "Token"),
    ],
)
def test_actions_are_in_words(code, words):
    assert action_in_words(code) == words


def test_records_and_details_are_in_words():
    assert record_in_words("labels.labelqueue:1") == "label queue"
    assert record_in_words("gone.model:1") == "gone.model"
    assert record_in_words("") == ""
    detail = {"after": {"pneumonia": 0.4}, "given_up": True, "labels": [1, 2], "reason": ""}
    assert detail_in_words(detail) == "after: (pneumonia: 0.4); given up: yes; labels: 1, 2; reason: –"
