"""Objects made of results, with the images that they are about."""

from __future__ import annotations

import uuid

import pytest
from django.utils import timezone
from pydicom.uid import ComprehensiveSRStorage

from tests.classifier.images.samples import write
from tests.factories import StudyFactory
from tests.webapp.dicom.objects import radiograph
from webapp.core import storage
from webapp.results.kinds import ObjectKind
from webapp.results.models import ResultObject

pytestmark = pytest.mark.django_db


@pytest.fixture
def result_of():
    """Makes the stored report of a scan."""

    def make(scan, **fields) -> ResultObject:
        study, uid, key = scan.study, f"1.2.9.{uuid.uuid4().int}"[:60], uuid.uuid4()
        name = f"results/{key}.dcm"
        report = radiograph(
            SOPClassUID=ComprehensiveSRStorage,
            SOPInstanceUID=uid,
            StudyInstanceUID=study.study_instance_uid,
            SeriesInstanceUID="1.2.8",
            Modality="SR",
        )
        storage.path_of(name).parent.mkdir(parents=True, exist_ok=True)
        write(storage.path_of(name), report)
        values = {
            "site": scan.site,
            "study": study,
            "scan": scan,
            "kind": ObjectKind.RESULT,
            "digest": uid,
            "patient_id": study.patient.patient_id,
            "study_instance_uid": study.study_instance_uid,
            "series_instance_uid": "1.2.8",
            "sop_class_uid": ComprehensiveSRStorage,
            "sop_instance_uid": uid,
            "number": 1,
            "made_at": timezone.now(),
            "stored_name": name,
            "sha256": "0" * 64,
            "size": 1,
        }
        return ResultObject.objects.create(**values | fields)

    return make


def reports(client, scan) -> list[str]:
    address = f"/dicomweb/studies/{scan.study.study_instance_uid}/instances"
    found = client.get(address, {"Modality": "SR"}).json()
    return [one["00080018"]["Value"][0] for one in found]


def test_a_report_is_found_and_retrieved_with_its_study(client, stored, result_of):
    scan = stored()
    report = result_of(scan)
    [study] = client.get("/dicomweb/studies").json()
    assert study["00080061"]["Value"] == ["DX", "SR"]
    assert study["00201208"]["Value"] == [2]
    address = f"/dicomweb/studies/{scan.study.study_instance_uid}/series/1.2.8"
    response = client.get(f"{address}/instances/{report.sop_instance_uid}", HTTP_ACCEPT="application/dicom")
    assert b"".join(response.streaming_content) == storage.path_of(report.stored_name).read_bytes()
    [metadata] = client.get(f"{address}/metadata").json()
    assert metadata["00080016"]["Value"] == [ComprehensiveSRStorage]


def test_a_superseded_report_is_not_served(client, stored, result_of):
    scan = stored()
    earlier = result_of(scan)
    later = result_of(scan, supersedes=earlier)
    assert reports(client, scan) == [later.sop_instance_uid]


def test_rejection_notes_and_reports_of_a_scan_that_was_moved_are_left_out(client, stored, result_of):
    scan, moved = stored(), stored(PatientID="P2")
    result_of(scan, kind=ObjectKind.REJECTION)
    result_of(moved)
    study = moved.study
    moved.series.study = StudyFactory(patient=scan.patient)
    moved.series.save()
    stored(StudyInstanceUID=study.study_instance_uid, PatientID="P2")
    assert reports(client, scan) == reports(client, moved) == []
