"""From upload to scan: filing by the file and by the claim, refusals, failures, duplicates."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from classifier.contract import Slot
from classifier.reasons import RefusalReason
from tests.factories import PatientFactory, StudyFactory, parsed
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans import services
from webapp.scans.models import Patient, Scan, Study, Upload
from webapp.scans.selectors import patient_age, scan_notes
from webapp.scans.services import upload_finish, upload_refuse, upload_retry, upload_store
from webapp.scans.uploads.files import file_sha256
from webapp.scans.uploads.stated_metadata import StatedMetadata

pytestmark = pytest.mark.django_db
HEADER = {
    "PatientID": "H1",
    "IssuerOfPatientID": "ANNA",
    "PatientName": "ROE^JANE",
    "PatientSex": "F",
    "PatientBirthDate": "19600229",
    "StudyInstanceUID": "1.2.840.1",
    "SeriesInstanceUID": "1.2.840.2",
    "SOPInstanceUID": "1.2.840.3",
    "AccessionNumber": "A-1",
    "StudyDate": "20261119",
    "StudyTime": "233000.5",
    "StudyDescription": "Thorax",
    "Modality": "DX",
    "ViewPosition": "PA",
}


@pytest.fixture
def store(owner, site):
    """Uploads new bytes with a claim and returns the upload."""
    serial = iter(range(100))

    def store(**claim) -> Upload:
        content = f"file {next(serial)}".encode()
        return upload_store(user=owner, site=site, chunks=[content], stated=StatedMetadata(**claim))[0]

    return store


@pytest.fixture
def ingest(store):
    """Uploads, claims and files one image: `ingest({"PatientID": ...}, patient_id=claimed)`."""
    shades = iter(range(100))

    def ingest(metadata: dict | None = None, *, shade: int | None = None, slot=Slot.CXR, **claim) -> Scan:
        store(**claim)
        upload = Upload.objects.claim()[0]
        token = upload.attempt_token
        shade = next(shades) if shade is None else shade
        image = parsed(upload, token, shade=shade, slot=slot, **(metadata or {}))
        return upload_finish(upload=upload, results=[image])[0]

    return ingest


def test_a_dicom_file_is_filed_by_its_header(ingest):
    scan = ingest(HEADER)
    scan = Scan.objects.get(pk=scan.pk)
    patient, study = scan.patient, scan.study
    assert (patient.patient_id, patient.issuer, patient.name) == ("H1", "ANNA", "ROE^JANE")
    assert (patient.sex, patient.birth_date, patient.provisional) == ("F", date(1960, 2, 29), False)
    assert (study.study_instance_uid, study.accession_number) == ("1.2.840.1", "A-1")
    assert (study.study_date, study.study_time) == (date(2026, 11, 19), time(23, 30, 0, 500_000))
    assert study.study_at == datetime(2026, 11, 19, 22, 30, 0, 500_000, tzinfo=UTC)
    assert (scan.series.series_instance_uid, scan.series.modality) == ("1.2.840.2", "DX")
    assert (scan.sop_instance_uid, scan.view_position, scan.notes) == ("1.2.840.3", "PA", {})
    assert scan.acquired_at == study.study_at
    assert (scan.id, scan.upload.status) == (scan.upload_id, "done")
    assert patient_age(scan) == pytest.approx(66.7, abs=0.05)


def test_the_images_are_kept_under_our_names_with_their_hashes(ingest):
    scan = ingest(HEADER)
    for kind in ("display", "working", "preview"):
        name = getattr(scan, f"{kind}_name")
        assert str(scan.id) in name
        assert file_sha256(storage.path_of(name)) == getattr(scan, f"{kind}_sha256")


def test_a_png_is_filed_by_its_claim(ingest):
    scan = ingest(patient_id="P1", study="A-9", date=date(2026, 3, 1))
    assert (scan.patient.patient_id, scan.study.accession_number) == ("P1", "A-9")
    assert scan.study.study_at == datetime(2026, 2, 28, 23, 0, tzinfo=UTC), "midnight in Berlin"
    assert scan.sop_instance_uid == f"2.25.{scan.id.int}"


def test_images_of_one_patient_and_day_are_one_study_and_without_a_day_each_its_own(ingest):
    first, second = (ingest(patient_id="P1", date=date(2026, 3, 1)) for _ in range(2))
    another_day = ingest(patient_id="P1", date=date(2026, 3, 2))
    undated, undated_too = (ingest(patient_id="P1") for _ in range(2))
    studies = [scan.study.pk for scan in (first, second, another_day, undated, undated_too)]
    assert studies[0] == studies[1]
    assert len(set(studies)) == 4
    assert undated.study.study_date is None
    assert undated.study.study_at == undated.received_at


def test_a_stated_study_is_the_one_that_dicom_files_made(ingest):
    dicom = ingest({**HEADER, "IssuerOfPatientID": ""})
    by_accession = ingest(patient_id="H1", study="A-1")
    by_uid = ingest(patient_id="H1", study="1.2.840.1")
    assert {by_accession.study, by_uid.study} == {dicom.study}


def test_the_same_identifier_of_another_issuer_is_another_patient(ingest):
    ours = ingest(HEADER)
    theirs = ingest({**HEADER, "IssuerOfPatientID": "ELSEWHERE", "SOPInstanceUID": "1.2.840.4"})
    assert ours.patient.pk != theirs.patient.pk
    assert scan_notes(theirs) == scan_notes(ours) == {"study_elsewhere": {}}


def test_a_claim_or_a_file_without_an_issuer_joins_the_one_patient_of_that_identifier(ingest):
    known = ingest(HEADER).patient
    assert ingest(patient_id="H1").patient == known
    assert ingest({**HEADER, "IssuerOfPatientID": ""}).patient == known
    assert Patient.objects.count() == 1


def test_an_identifier_that_two_issuers_gave_joins_neither_without_an_issuer(ingest):
    known = {ingest({**HEADER, "IssuerOfPatientID": issuer}).patient.pk for issuer in ("ANNA", "ELSEWHERE")}
    unsaid = ingest(patient_id="H1").patient
    assert (len(known), unsaid.pk in known, unsaid.issuer) == (2, False, "")


def test_an_unclaimed_image_gets_a_provisional_patient_of_its_own(ingest):
    one, two = ingest(), ingest()
    assert one.patient.pk != two.patient.pk
    assert one.patient.provisional
    assert one.patient.patient_id == f"unassigned-{one.id.hex[:12]}"


def test_the_file_wins_over_the_claim_and_the_difference_is_kept(ingest):
    scan = ingest(HEADER, patient_id="SOMEBODY", date=date(2020, 1, 1))
    assert scan.patient.patient_id == "H1"
    assert scan.notes == {
        "stated_differs": {"PatientID": ["SOMEBODY", "H1"], "StudyDate": ["2020-01-01", "2026-11-19"]}
    }
    assert not Patient.objects.filter(patient_id="SOMEBODY").exists()


def test_demographics_that_differ_stay_visible_and_missing_ones_are_filled(ingest):
    ingest({**HEADER, "PatientSex": ""})
    scan = ingest({**HEADER, "SOPInstanceUID": "1.2.840.4", "PatientName": "DOE^JOHN", "PatientSex": "M"})
    patient = Patient.objects.get()
    assert (patient.name, patient.sex) == ("ROE^JANE", "M")
    assert scan_notes(scan) == {"demographics_differ": {"name": ["ROE^JANE", "DOE^JOHN"]}}


def test_other_pixels_under_the_same_instance_uid_are_noted_on_both_scans(ingest):
    """Even where the files name two patients: it may be a corrected copy, or a mix-up."""
    first, second = ingest(HEADER), ingest({**HEADER, "PatientID": "H2"})
    alone = ingest({**HEADER, "SOPInstanceUID": "1.2.840.4"})
    assert "same_sop_instance" in scan_notes(first)
    assert "same_sop_instance" in scan_notes(second)
    assert "same_sop_instance" not in scan_notes(alone)
    assert first.patient.pk != second.patient.pk


def test_patients_of_another_site_are_never_joined(ingest, other_site):
    theirs = PatientFactory(site=other_site, patient_id="H1", issuer="ANNA")
    assert ingest(HEADER).patient.pk != theirs.pk


def test_the_same_pixels_in_another_file_are_recognised_within_the_site(ingest):
    first, second, other = ingest(shade=5), ingest(shade=5), ingest(shade=6)
    assert (first.duplicate_of, second.duplicate_of, other.duplicate_of) == (None, first, None)


def test_a_claimed_kind_that_the_file_contradicts_is_kept(ingest):
    assert ingest(slot=Slot.CXR, modality="ct").notes == {"stated_differs": {"Modality": ["ct", "cxr"]}}
    assert ingest(slot=Slot.CT, modality="ct").notes == {}
    assert ingest(slot=Slot.PHANTOM, modality="cxr").notes == {}


def test_what_a_json_column_cannot_hold_is_left_out(ingest):
    scan = ingest({"StudyDescription": "a\0b", "PixelSpacing": [float("nan"), 0.2], "PatientID": "P\0"})
    scan.refresh_from_db()
    assert scan.metadata["StudyDescription"] == "ab"
    assert scan.metadata["PixelSpacing"] == [None, 0.2]
    assert scan.patient.patient_id == "P"


@pytest.mark.parametrize("broken", ["00000000", "2026", "x", "20261341"])
def test_a_malformed_date_in_the_file_is_no_date(ingest, broken):
    scan = ingest({**HEADER, "StudyDate": broken, "StudyTime": "99", "PatientBirthDate": broken})
    assert (scan.study.study_date, scan.study.study_time, scan.patient.birth_date) == (None, None, None)


def test_a_claim_that_comes_while_the_file_is_parsed_still_files_it(store, owner, site):
    store()
    upload = Upload.objects.claim()[0]
    late = upload_store(user=owner, site=site, chunks=[b"file 0"], stated=StatedMetadata(patient_id="P1"))
    assert late == (upload, False)
    token = upload.attempt_token
    (scan,) = upload_finish(upload=upload, results=[parsed(upload, token)])
    assert scan.patient.patient_id == "P1"


def test_finishing_twice_files_nothing_the_second_time(store):
    store()
    upload = Upload.objects.claim()[0]
    token = upload.attempt_token
    image = parsed(upload, token)
    assert len(upload_finish(upload=upload, results=[image])) == 1
    assert upload_finish(upload=upload, results=[image]) is None
    assert Scan.objects.count() == 1


def test_a_filing_that_breaks_leaves_the_upload_with_its_attempt(store, monkeypatch):
    store()
    upload = Upload.objects.claim()[0]

    def broken(*_):
        raise RuntimeError

    monkeypatch.setattr(services, "file_scan", broken)
    results = [parsed(upload, upload.attempt_token)]
    with pytest.raises(RuntimeError):
        upload_finish(upload=upload, results=results)
    upload.refresh_from_db()
    assert upload.status == "parsing"
    assert not Patient.objects.exists()


def test_a_refused_upload_states_why_and_its_bytes_are_gone(store, django_capture_on_commit_callbacks):
    store()
    upload = Upload.objects.claim()[0]
    with django_capture_on_commit_callbacks(execute=True):
        assert upload_refuse(upload=upload, reason=RefusalReason.TOO_SMALL, detail="32 x 32")
    upload.refresh_from_db()
    assert (upload.status, upload.refusal, upload.refusal_detail) == ("refused", "too_small", "32 x 32")
    assert not storage.path_of(upload.stored_name).exists()


def test_only_a_reason_of_the_application_refuses(store):
    store()
    upload = Upload.objects.claim()[0]
    with pytest.raises(ValueError, match="ugly"):
        upload_refuse(upload=upload, reason="ugly")


def test_a_failed_upload_is_retried_once_asked_and_only_then(store, owner):
    store()
    upload = Upload.objects.claim()[0]
    assert upload.fail("parser_gave_out")
    assert Upload.objects.claim() == []
    upload_retry(upload=upload, actor=owner)
    with pytest.raises(CodedError) as caught:
        upload_retry(upload=upload, actor=owner)
    assert caught.value.code == "conflict"
    assert [u.pk for u in Upload.objects.claim()] == [upload.pk]


def test_studies_of_two_patients_may_bear_one_uid(site):
    one = StudyFactory(patient=PatientFactory(site=site), study_instance_uid="1.2")
    StudyFactory(patient=PatientFactory(site=site), study_instance_uid="1.2")
    assert Study.objects.filter(study_instance_uid=one.study_instance_uid).count() == 2
