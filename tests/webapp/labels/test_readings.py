"""Readings: signed, sealed, corrected by another, and never changed, not even by upload the database."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import ProtectedError

from tests import factories
from webapp.analysis.models import StudySummary
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.labels.models import Reading, ReadScan
from webapp.labels.readings import reading_sign, seal
from webapp.labels.selectors import offered, own_reading, readings_of
from webapp.scans.patients.corrections import patient_merge, patient_unmerge, scan_move

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(db):
    return factories.ModelVersionFactory()


@pytest.fixture
def scan(site, model):
    scan = factories.ScanFactory(site=site)
    factories.AnalysisFactory(
        scan=scan, model_version=model, status="done", finding="pneumonia", probabilities={"pneumonia": 0.8}
    )
    return scan


@pytest.fixture
def reading(scan, owner):
    return reading_sign(study=scan.study, actor=owner, findings=["pneumonia"], comment="Right lower lobe.")


def test_a_reading_states_who_what_and_what_hilum_stated_then(reading, scan, owner, model):
    assert (reading.reader, reading.signed_as, reading.findings) == (owner, "owner", ["pneumonia"])
    (seen,) = reading.evidence
    assert (seen["scan"], seen["model_sha256"]) == (str(scan.pk), model.sha256)
    assert seen["probabilities"] == {"pneumonia": 0.8}
    assert list(readings_of(scan.study)) == [reading]
    event = AuditEvent.objects.get(action="reading.signed")
    assert (event.actor, event.site, event.detail["study"]) == (owner, scan.site, str(scan.study.pk))
    assert "lobe" not in str(event.detail)


def test_the_worklist_knows_who_read_last(reading, scan, owner, teammate):
    row = StudySummary.objects.get(study=scan.study)
    assert (row.reader, row.read_at) == (owner, reading.created_at)
    reading_sign(study=scan.study, actor=teammate, findings=["normal"])
    row.refresh_from_db()
    assert row.reader == teammate


def test_the_seal_is_that_of_the_row_as_it_is_stored(reading):
    stored = Reading.objects.get(pk=reading.pk)
    assert seal(stored) == stored.sha256
    stored.comment = "Left lower lobe."
    assert seal(stored) != stored.sha256


def test_a_correction_is_another_reading_and_the_earlier_one_stays(reading, scan, owner, teammate):
    second = reading_sign(study=scan.study, actor=owner, findings=["normal"], after=reading.pk)
    assert second.supersedes == reading
    assert own_reading(scan.study, owner) == second
    assert list(readings_of(scan.study)) == [second, reading]
    other = reading_sign(study=scan.study, actor=teammate, findings=["normal"])
    assert other.supersedes is None, "another reader's reading is their own"


def test_a_form_sent_twice_signs_once(reading, scan, owner):
    with pytest.raises(CodedError) as caught:
        reading_sign(study=scan.study, actor=owner, findings=["normal"])
    assert caught.value.code == "conflict"
    assert Reading.objects.count() == 1


@pytest.mark.parametrize(
    ("findings", "comment", "code"),
    [
        ([], "", "finding_missing"),
        (["leprosy"], "", "invalid"),
        (["normal", "pneumonia"], "", "findings_contradict"),
        (["inconclusive", "pneumonia"], "", "findings_contradict"),
        (["other"], "  ", "description_missing"),
        (["normal"], "x" * 2001, "text_invalid"),
        (["normal"], "NUL \x00", "text_invalid"),
    ],
)
def test_what_states_nothing_or_contradicts_itself_is_not_signed(scan, owner, findings, comment, code):
    with pytest.raises(CodedError) as caught:
        reading_sign(study=scan.study, actor=owner, findings=findings, comment=comment)
    assert (caught.value.code, caught.value.status) == (code, 400)
    assert not Reading.objects.exists()


def test_only_who_may_label_at_the_site_signs(scan, outsider, person, site):
    for actor in (outsider, person("audrey", role="auditor", site=site), person("lone")):
        with pytest.raises(CodedError) as caught:
            reading_sign(study=scan.study, actor=actor, findings=["normal"])
        assert caught.value.code == "forbidden"


@pytest.mark.parametrize(
    "act",
    [
        "UPDATE labels_reading SET comment = 'other'",
        "UPDATE labels_reading SET sha256 = ''",
        "DELETE FROM labels_readscan",
        "DELETE FROM labels_reading",
    ],
)
def test_the_database_itself_refuses_to_change_or_remove_a_reading(reading, act):
    with pytest.raises(DatabaseError, match="never changed or removed"), transaction.atomic():
        connection.cursor().execute(act)
    assert Reading.objects.get().comment == "Right lower lobe."
    assert ReadScan.objects.count() == 1


def test_an_account_that_has_read_cannot_be_deleted(reading, owner):
    with pytest.raises(ProtectedError):
        owner.delete()


def test_a_reading_goes_where_its_images_are_filed(reading, scan, owner, site):
    before = scan.study
    move = scan_move(
        scan=scan, patient=factories.PatientFactory(site=site), actor=owner, reason="wrong label"
    )
    assert list(readings_of(move.study)) == [reading]
    assert not readings_of(before).exists()
    assert StudySummary.objects.get(study=move.study).reader == owner
    assert reading.study == before, "the study that was read stays, without images"


def test_a_reading_outlives_a_merge_and_a_unmerging(reading, scan, person, site):
    boss = person("boss", role="admin", site=site)
    target = factories.PatientFactory(site=site)
    same = factories.StudyFactory(patient=target, study_instance_uid=scan.study.study_instance_uid)
    factories.ScanFactory(site=site, series__study=same)
    merge = patient_merge(source=scan.patient, target=target, actor=boss, reason="one person")
    assert list(readings_of(same)) == [reading]
    patient_unmerge(merge=merge, actor=boss, reason="two persons")
    scan.refresh_from_db()
    assert list(readings_of(scan.study)) == [reading]


def test_what_may_be_stated_comes_from_the_models_that_processed(scan, model):
    text = ["normal", "covid19", "pneumonia", "other", "inconclusive"]
    assert offered(scan.analyses.all()) == text
    assert offered([]) == text, "without a result, from the active models"
