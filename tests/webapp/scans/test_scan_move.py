"""A scan filed to the wrong patient is moved, with a trace, and can be moved back."""

from __future__ import annotations

from datetime import date

import pytest

from tests.factories import PatientFactory, ScanFactory, StudyFactory
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.scans.models import Patient, ScanMove, Study
from webapp.scans.patients.corrections import scan_move
from webapp.scans.selectors import scan_notes

pytestmark = pytest.mark.django_db
HEADER = {
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.4",
    "StudyDate": "20260301",
    "Modality": "DX",
}


@pytest.fixture
def study(site):
    return StudyFactory(patient__site=site, study_instance_uid="1.2.3", study_date=date(2026, 3, 1))


@pytest.fixture
def scan(site, study):
    return ScanFactory(site=site, series__study=study, series__series_instance_uid="1.2.4", metadata=HEADER)


@pytest.fixture
def right(site):
    return PatientFactory(site=site)


def code_of(**move) -> str:
    with pytest.raises(CodedError) as caught:
        scan_move(**move)
    return caught.value.code


def test_a_lone_scan_takes_its_study_along(scan, study, right, owner):
    move = scan_move(scan=scan, patient=right, actor=owner, reason="wrong wristband")
    scan.refresh_from_db()
    assert (scan.patient, scan.study) == (right, move.study)
    assert (move.study.study_instance_uid, move.study.study_date) == ("1.2.3", date(2026, 3, 1))
    assert scan.series.series_instance_uid == "1.2.4"
    assert list(Study.objects.all()) == [move.study]


def test_the_other_scans_of_its_study_stay(scan, study, site, right, owner):
    sibling = ScanFactory(site=site, series=scan.series)
    move = scan_move(scan=scan, patient=right, actor=owner, reason="wrong wristband")
    sibling.refresh_from_db()
    assert sibling.study == study
    assert move.study != study


def test_a_scan_joins_the_study_that_the_right_patient_already_has(scan, site, right, owner):
    there = StudyFactory(patient=right, study_instance_uid="1.2.3")
    assert scan_move(scan=scan, patient=right, actor=owner, reason="wrong wristband").study == there


def test_a_move_leaves_its_trace_without_patient_data_in_the_audit_trail(scan, right, owner):
    wrong = scan.patient
    scan_move(scan=scan, patient=right, actor=owner, reason="DOE^JANE wore the wrong wristband")
    trace = ScanMove.objects.get()
    assert (trace.scan, trace.source, trace.target, trace.actor) == (scan, wrong, right, owner)
    event = AuditEvent.objects.get(action="scan.moved")
    assert event.detail == {"source": str(wrong.pk), "target": str(right.pk)}
    assert str(scan.pk) in event.subject


def test_what_differs_is_reported_of_the_patient_that_the_scan_has_now(scan, site, owner):
    scan.metadata = HEADER | {"PatientName": "DOE^JANE", "PatientSex": "F"}
    scan.save()
    janes = PatientFactory(site=site, name="DOE^JANE", sex="M")
    scan_move(scan=scan, patient=janes, actor=owner, reason="wrong wristband")
    scan.refresh_from_db()
    assert scan_notes(scan) == {"demographics_differ": {"sex": ["M", "F"]}}


def test_a_scan_that_leaves_its_study_behind_states_that_the_study_is_elsewhere_too(scan, site, right, owner):
    ScanFactory(site=site, series=scan.series)
    scan_move(scan=scan, patient=right, actor=owner, reason="wrong wristband")
    scan.refresh_from_db()
    assert scan_notes(scan) == {"study_elsewhere": {}}


def test_a_move_can_be_taken_back(scan, study, right, owner):
    wrong = scan.patient
    scan_move(scan=scan, patient=right, actor=owner, reason="wrong wristband")
    scan_move(scan=scan, patient=wrong, actor=owner, reason="it was right after all")
    scan.refresh_from_db()
    assert scan.patient == wrong
    assert ScanMove.objects.count() == 2


def test_a_move_to_where_it_is_changes_nothing(scan, owner):
    scan_move(scan=scan, patient=scan.patient, actor=owner, reason="to be sure")
    assert not ScanMove.objects.exists()


def test_a_teammate_may_move_and_an_outsider_or_an_auditor_may_not(
    scan, right, teammate, outsider, person, site
):
    auditor = person("auditor", role="auditor", site=site)
    for actor in (outsider, auditor):
        assert code_of(scan=scan, patient=right, actor=actor, reason="because") == "forbidden"
    assert scan_move(scan=scan, patient=right, actor=teammate, reason="because").study.patient == right


def test_no_scan_leaves_its_site_and_none_moves_without_a_reason(scan, right, other_site, owner):
    elsewhere = PatientFactory(site=other_site)
    assert code_of(scan=scan, patient=elsewhere, actor=owner, reason="because") == "not_found"
    assert code_of(scan=scan, patient=right, actor=owner, reason="  ") == "metadata_invalid"
    assert Patient.objects.get(studies__series__scans=scan).pk == scan.patient.pk
