"""Deliveries: nothing is lost and nothing is sent twice, whatever the receiver does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from classifier.reasons import AbstentionReason
from tests.factories import PatientFactory, ScanFactory, prediction
from tests.webapp.results.conftest import ALL_KINDS, DX
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.labels.marks.key_images import key_image_add
from webapp.labels.marks.services import mark_add
from webapp.labels.readings import reading_sign
from webapp.results import deliveries
from webapp.results.deliveries import (
    delivery_dismiss,
    delivery_resend,
    destination_test,
    results_send,
)
from webapp.results.models import ResultDelivery, ResultObject
from webapp.results.services import destination_create, destination_remove
from webapp.scans.patients.corrections import scan_move

pytestmark = pytest.mark.django_db
VIEW = {
    "width": 300.0, "level": 40.0, "inverted": False, "zoom": 1.0, "offset": [0, 0, 0], "rotation": 0,
    "flipHorizontal": False, "flipVertical": False, "area": [0, 0, 512, 512], "axes": [1, 0, 0, 1],
    "finding": None, "opacity": 0.0, "threshold": 0.0, "colours": "inferno", "outlines": False,
}  # fmt: skip


def only() -> ResultDelivery:
    return ResultDelivery.objects.get()


def test_a_finished_analysis_is_sent_at_once_where_a_rule_asks_for_it(
    pacs, destination, rule, finish, send_all
):
    rule(destination, kinds=["result", "overlay", "heatmap"])
    analysis = finish()
    assert send_all() == 1
    assert pacs.modalities() == ["OT", "PR", "SR"]
    assert only().status == "delivered"
    assert {one.analysis_id for one in ResultObject.objects.all()} == {analysis.pk}
    assert AuditEvent.objects.filter(action="result.delivered").count() == 1
    assert send_all(later=True) == 0


@pytest.mark.parametrize(
    ("findings", "probabilities", "sent"),
    [
        ([], {"pneumonia": 0.9}, True),
        (["pneumonia"], {"pneumonia": 0.9}, True),
        (["covid19"], {"pneumonia": 0.9}, False),
        (["none"], {"pneumonia": 0.3, "normal": 0.3}, True),
        (["pneumonia"], {"pneumonia": 0.3, "normal": 0.3}, False),
    ],
)
def test_a_rule_names_the_findings_that_are_sent(destination, rule, finish, findings, probabilities, sent):
    rule(destination, findings=findings)
    finish(**probabilities)
    assert ResultDelivery.objects.exists() is sent


@pytest.mark.parametrize("withheld", [True, False])
def test_withheld_results_are_sent_where_the_rule_says_so(destination, rule, finish, withheld):
    rule(destination, withheld=withheld, findings=["pneumonia"])
    finish(prediction_of=replace(prediction(pneumonia=0.9), abstention=AbstentionReason.LATERAL_VIEW))
    assert ResultDelivery.objects.exists() is withheld


def test_a_result_that_belongs_to_no_patient_is_not_sent(site, destination, rule, finish):
    rule(destination)
    patient = PatientFactory(site=site, provisional=True)
    finish(scan=ScanFactory(site=site, series__study__patient=patient))
    assert not ResultDelivery.objects.exists()


def test_everything_about_a_study_is_sent_after_its_reading_is_signed(
    pacs, destination, rule, finish, send_all, owner
):
    rule(destination, when="after_reading", kinds=ALL_KINDS)
    scan = finish().scan
    assert send_all() == 0
    mark_add(scan=scan, actor=owner, kind="length", points=[[10, 10], [50, 50]])
    key_image_add(scan=scan, actor=owner, view=VIEW)
    reading_sign(study=scan.study, actor=owner, findings=["pneumonia"], comment="Left.")
    assert send_all() == 1
    assert pacs.modalities() == ["DOC", "KO", "OT", "PR", "SR", "SR", "SR"]
    reading = next(one for one in pacs.datasets if one.get("VerificationFlag") == "VERIFIED")
    assert str(reading.VerifyingObserverSequence[0].VerifyingObserverName) == "owner^"


def test_a_corrected_reading_supersedes_the_earlier_one(pacs, destination, rule, finish, send_all, owner):
    rule(destination, when="after_reading", kinds=["reading"])
    study = finish().scan.study
    first = reading_sign(study=study, actor=owner, findings=["pneumonia"])
    reading_sign(study=study, actor=owner, findings=["normal"], after=first.pk)
    assert send_all() == 2
    earlier, later = pacs.datasets
    series = later.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == earlier.SOPInstanceUID
    assert later.SeriesInstanceUID == earlier.SeriesInstanceUID
    assert (earlier.InstanceNumber, later.InstanceNumber) == (1, 2)


def test_a_rescored_result_supersedes_the_earlier_one(pacs, destination, rule, finish, send_all):
    rule(destination)
    scan = finish(pneumonia=0.9).scan
    send_all()
    finish(scan=scan, normal=0.9)
    send_all()
    earlier, later = pacs.datasets
    series = later.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == earlier.SOPInstanceUID
    assert ResultObject.objects.get(superseded_by=None).sop_instance_uid == later.SOPInstanceUID


def test_a_moved_scan_is_sent_again_and_what_was_sent_is_rejected(
    site, pacs, destination, rule, finish, send_all, owner
):
    rule(destination, kinds=["result", "overlay"])
    scan = finish().scan
    send_all()
    before = pacs.uids()
    other = PatientFactory(site=site)
    scan_move(scan=scan, patient=other, actor=owner, reason="mixed up")
    assert send_all() == 1
    sent = pacs.datasets[2:]
    assert [one.PatientID for one in sent if one.Modality != "KO"] == [other.patient_id] * 2
    (note,) = [one for one in sent if one.Modality == "KO"]
    assert note.PatientID != other.patient_id
    series = note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    named = [item.ReferencedSOPInstanceUID for one in series for item in one.ReferencedSOPSequence]
    assert sorted(named) == sorted(before)
    report = next(one for one in sent if one.Modality == "SR")
    assert "PredecessorDocumentsSequence" in report


def test_a_receiver_that_is_down_gets_everything_once_when_it_is_back(
    site, admin, pacs, rule, finish, send_all
):
    down = destination_create(
        site=site, actor=admin, name="Down", kind="dicom", host="127.0.0.1", port=1, called_ae="PACS"
    )
    rule(down)
    finish()
    finish()
    assert send_all() == 1, "the receiver is paused after the first failure"
    first = ResultDelivery.objects.order_by("created_at")[0]
    assert (first.status, first.error_code) == ("waiting", "unreachable")
    type(down).objects.update(port=pacs.port)
    assert send_all(later=True) == 2
    assert len(set(pacs.uids())) == len(pacs.datasets) == 2


def test_after_a_dropped_connection_only_the_rest_is_sent(pacs, destination, rule, finish, send_all):
    rule(destination, kinds=["result", "overlay", "heatmap"])
    finish()
    pacs.drop_after = 2
    send_all()
    assert only().status == "waiting"
    assert only().accepted.count() == 2
    pacs.drop_after = None
    send_all(later=True)
    assert only().status == "delivered"
    assert len(pacs.uids()) == len(set(pacs.uids())) == 3


def test_a_pacs_out_of_resources_is_tried_again(pacs, destination, rule, finish, send_all):
    rule(destination)
    finish()
    pacs.statuses = [0xA700]
    send_all()
    assert (only().status, only().error_code) == ("waiting", "dicom_status")
    send_all(later=True)
    assert only().status == "delivered"


def test_a_refused_object_becomes_a_dead_letter_and_the_others_arrive(
    pacs, destination, rule, finish, send_all
):
    rule(destination, kinds=["result", "overlay", "heatmap"])
    finish()
    pacs.statuses = [0xC000]
    send_all()
    assert (only().status, only().error_code) == ("failed", "dicom_refused")
    assert len(pacs.datasets) == 2
    assert AuditEvent.objects.filter(action="result.given_up").exists()


def test_an_admin_sends_a_dead_letter_again_and_only_what_is_missing_goes(
    pacs, destination, rule, finish, send_all, admin, owner
):
    rule(destination, kinds=["result", "overlay"])
    finish()
    pacs.statuses = [0xC000]
    send_all()
    with pytest.raises(CodedError, match="permit"):
        delivery_resend(delivery=only(), actor=owner)
    delivery_resend(delivery=only(), actor=admin)
    send_all()
    assert only().status == "delivered"
    assert len(pacs.uids()) == len(set(pacs.uids())) == 2


def test_a_dismissed_delivery_is_never_sent(pacs, destination, rule, finish, send_all, admin):
    rule(destination)
    finish()
    delivery_dismiss(delivery=only(), actor=admin)
    assert send_all(later=True) == 0
    with pytest.raises(CodedError):
        delivery_dismiss(delivery=only(), actor=admin)


def test_the_log_names_a_wrong_ae_title(pacs, site, admin, rule, finish, send_all):
    wrong = destination_create(
        site=site,
        actor=admin,
        name="Wrong",
        kind="dicom",
        host="127.0.0.1",
        port=pacs.port,
        called_ae="OTHER",
    )
    rule(wrong)
    finish()
    send_all()
    attempt = only().tries.get()
    assert attempt.error_code == "dicom_rejected"
    assert "AE title" in attempt.problem


def test_a_peer_that_is_slow_is_waited_for_only_so_long(
    pacs, destination, rule, finish, send_all, monkeypatch
):
    monkeypatch.setattr("worker.sending.dicom.RESPONSE_SECONDS", 0.3)
    rule(destination)
    finish()
    pacs.seconds = 1.0
    send_all()
    assert (only().status, only().error_code) == ("waiting", "dicom_no_response")
    pacs.seconds = 0
    send_all(later=True)
    assert only().status == "delivered"
    assert len(set(pacs.uids())) == 1, "the same object, if the PACS had stored it after all"


def test_a_delivery_is_given_up_after_a_week(site, admin, rule, finish, send_all):
    down = destination_create(
        site=site, actor=admin, name="Down", kind="dicom", host="127.0.0.1", port=1, called_ae="PACS"
    )
    rule(down)
    finish()
    ResultDelivery.objects.update(created_at=timezone.now() - deliveries.TRIED_FOR - timedelta(hours=1))
    send_all()
    assert only().status == "failed"


def test_the_connection_is_tested_without_a_patient(pacs, destination, send_all, admin):
    destination_test(destination=destination, actor=admin)
    send_all()
    assert only().status == "delivered"
    assert "C-ECHO" in only().tries.get().problem
    assert not pacs.datasets


def test_a_result_is_sent_on_request_by_who_may(pacs, destination, rule, finish, send_all, owner, outsider):
    scan = finish().scan
    with pytest.raises(CodedError, match="No rule"):
        results_send(scan=scan, destination=destination, actor=owner)
    rule(destination, when="on_request")
    with pytest.raises(CodedError):
        results_send(scan=scan, destination=destination, actor=outsider)
    results_send(scan=scan, destination=destination, actor=owner)
    results_send(scan=scan, destination=destination, actor=owner)
    assert send_all() == 2
    assert len(set(pacs.uids())) == 1, "the same result is the same object"


def test_an_upload_that_was_no_dicom_file_goes_along_as_one(site, pacs, destination, rule, finish, send_all):
    rule(destination)
    scan = finish(scan=ScanFactory(site=site, metadata={})).scan
    send_all()
    image, report = pacs.datasets
    assert image.SOPInstanceUID == scan.sop_instance_uid
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == scan.sop_instance_uid


def test_a_removed_destination_gets_nothing(pacs, destination, rule, finish, send_all, admin):
    rule(destination)
    finish()
    destination_remove(destination=destination, actor=admin)
    finish()
    assert send_all(later=True) == 0
    assert only().status == "dismissed"


def test_a_lost_image_is_named_in_the_log(pacs, destination, rule, finish, send_all):
    from webapp.core import storage

    rule(destination, kinds=["overlay"])
    storage.delete_file(finish().scan.display_name)
    send_all()
    assert (only().status, only().error_code) == ("waiting", "image_unavailable")


def test_dicom_images_are_referenced_by_the_uids_of_their_file(
    site, pacs, destination, rule, finish, send_all
):
    rule(destination)
    scan = ScanFactory(
        site=site, sop_instance_uid="1.9.8", metadata={"SOPClassUID": DX, "SOPInstanceUID": "1.9.8"}
    )
    finish(scan=scan)
    send_all()
    (report,) = pacs.datasets
    item = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert item.SeriesInstanceUID == scan.series.series_instance_uid
    assert item.ReferencedSOPSequence[0].ReferencedSOPClassUID == DX
