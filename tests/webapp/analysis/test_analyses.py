"""The life of an analysis: queued for the active model, claimed, processed once, failed, tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from classifier.contract import Slot
from classifier.reasons import AbstentionReason
from tests.factories import (
    FINDINGS,
    ModelVersionFactory,
    ScanFactory,
    cam,
    make_active,
    parsed,
    prediction,
)
from webapp.analysis import services
from webapp.analysis.models import Analysis, AnalysisCam, StudySummary
from webapp.analysis.state import state_of
from webapp.core.errors import CodedError
from webapp.registry.models import ModelStatus
from webapp.scans.models import Scan, Upload
from webapp.scans.services import upload_finish, upload_store
from webapp.scans.uploads.stated_metadata import StatedMetadata

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def woken(monkeypatch):
    names = []
    monkeypatch.setattr(services, "notify_workers", names.append)
    return names


def summary_of(scan: Scan) -> StudySummary:
    return StudySummary.objects.get(study__series__scans=scan)


def lose_leases() -> None:
    Analysis.objects.filter(status="running").update(
        lease_expires_at=F("lease_expires_at") - timedelta(hours=1)
    )


def test_an_upload_becomes_a_scan_with_a_queued_analysis_at_once(owner, site, model, woken):
    upload_store(user=owner, site=site, chunks=[b"bytes"], stated=StatedMetadata(patient_id="P1"))
    upload = Upload.objects.claim()[0]
    image = parsed(upload, upload.attempt_token)
    scan = upload_finish(upload=upload, results=[image])[0]
    analysis = scan.analyses.get()
    assert (analysis.status, analysis.model_version) == ("queued", model)
    assert summary_of(scan).status == "analysing"
    assert woken == ["infer"]
    assert upload_finish(upload=upload, results=[image]) is None


def test_queueing_again_makes_no_second_analysis(queued, model):
    scan = queued()
    assert [a.scan_id for a in services.analyses_queue([scan])] == [scan.id]
    assert Analysis.objects.count() == 1


def test_an_result_is_stored_with_its_maps(queued, finished_analysis):
    scan = queued()
    finished_analysis(pneumonia=0.8, covid19=0.15, normal=0.05)
    analysis = scan.analyses.get()
    assert (analysis.status, analysis.finding, analysis.withheld) == ("done", "pneumonia", False)
    assert analysis.probabilities == {"pneumonia": 0.8, "covid19": 0.15, "normal": 0.05}
    assert 0 < analysis.uncertainty < 1
    assert set(analysis.stored_cam.cam["grids"]) == set(FINDINGS)
    assert analysis.stored_cam.cam["scale"] == 2.0


def test_an_abstention_keeps_its_probabilities_and_is_marked_withheld(queued, finished_analysis):
    scan = queued()
    finished_analysis(abstention=AbstentionReason.LATERAL_VIEW, pneumonia=0.9)
    analysis = scan.analyses.get()
    assert (analysis.withheld, analysis.abstention) == (True, "lateral_view")
    assert analysis.probabilities["pneumonia"] == 0.9
    assert (summary_of(scan).status, summary_of(scan).reason) == ("abstained", "lateral_view")
    assert summary_of(scan).finding == ""


def test_answering_twice_changes_nothing_the_second_time(queued):
    scan = queued()
    analysis = Analysis.objects.claim()[0]
    text = {"analysis": analysis, "cam": cam(), "seconds": 0.1}
    assert services.analysis_done(**text, prediction=prediction(pneumonia=0.8))
    assert not services.analysis_done(**text, prediction=prediction(normal=0.9))
    assert scan.analyses.get().finding == "pneumonia"
    assert AnalysisCam.objects.count() == 1


def test_a_worker_that_lost_its_lease_cannot_result_nor_fail(queued):
    scan = queued()
    late = Analysis.objects.claim()[0]
    lose_leases()
    second = Analysis.objects.claim()[0]
    text = {"prediction": prediction(normal=0.9), "cam": cam(), "seconds": 0.1}
    assert not services.analysis_done(analysis=late, **text)
    assert not late.fail("late")
    assert services.analysis_done(analysis=second, **text)
    assert summary_of(scan).finding == "normal"


def test_a_batch_is_of_one_model_version(site, model):
    scans = [ScanFactory(site=site, slot=slot) for slot in (Slot.CXR, Slot.PHANTOM, Slot.CXR)]
    phantom = ModelVersionFactory(slot=Slot.PHANTOM)
    services.analyses_queue(scans)
    batches = [Analysis.objects.claim(8) for _ in range(3)]
    found = [[(a.scan, a.model_version) for a in batch] for batch in batches]
    assert sorted(found, key=len) == sorted(
        [[(scans[0], model), (scans[2], model)], [(scans[1], phantom)], []], key=len
    )


def test_a_claimed_batch_needs_no_query_a_row(queued, django_assert_max_num_queries):
    for _ in range(5):
        queued()
    with django_assert_max_num_queries(10):
        ages = [(a.scan.patient.name, a.model_version.sha256) for a in Analysis.objects.claim(5)]
    assert len(ages) == 5


def test_a_poison_scan_is_given_up_and_its_neighbours_processed(queued, finished_analysis):
    neighbours = [queued(), queued()]
    poison = queued()
    neighbours.append(queued())
    while batch := Analysis.objects.claim(8):
        if poison.id in [analysis.scan_id for analysis in batch]:
            lose_leases()
            continue
        for analysis in batch:
            text = {"prediction": prediction(normal=0.9), "cam": cam(), "seconds": 0.1}
            assert services.analysis_done(analysis=analysis, **text)
    assert poison.analyses.get().error_code == "gave_up"
    assert (summary_of(poison).status, summary_of(poison).reason) == ("failed", "gave_up")
    assert [summary_of(scan).status for scan in neighbours] == ["done"] * 3
    assert [scan.analyses.get().attempts for scan in neighbours] == [2, 2, 2]


def test_a_failed_analysis_states_why_and_is_tried_again(queued, fail, finished_analysis, owner, woken):
    scan = queued()
    fail("out_of_memory")
    assert (summary_of(scan).status, summary_of(scan).reason) == ("failed", "out_of_memory")
    analysis = services.analysis_retry(analysis=scan.analyses.get(), actor=owner)
    assert (analysis.status, analysis.attempts, summary_of(scan).status) == ("queued", 0, "analysing")
    with pytest.raises(CodedError, match="conflict"):
        services.analysis_retry(analysis=analysis, actor=owner)
    finished_analysis(normal=0.9)
    assert state_of(scan).status == "done"


@pytest.fixture
def promote():
    """Makes another version the active one of the slot."""

    def promote(number: int = 2):
        return make_active(ModelVersionFactory(number=number, status=ModelStatus.CANDIDATE))

    return promote


def test_what_failed_under_a_replaced_model_is_tried_again_by_the_active_one(queued, fail, owner, promote):
    scan = queued()
    fail("model_unavailable")
    failed, newer = scan.analyses.get(), promote()
    retried = services.analysis_retry(analysis=failed, actor=owner)
    assert (retried.status, retried.model_version) == ("queued", newer)
    assert (failed.status, summary_of(scan).status) == ("failed", "analysing")
    fail("out_of_memory")
    assert services.analysis_retry(analysis=failed, actor=owner) == retried
    assert summary_of(scan).status == "analysing"


def test_a_promotion_takes_up_what_failed_under_the_model_before_once(queued, fail, promote):
    scan = queued()
    fail("model_unavailable")
    assert services.backfill() == 0, "the active model has failed on it: a person is to look at that"
    promote()
    assert services.backfill("cxr") == 1
    assert summary_of(scan).status == "analysing"
    fail("out_of_memory")
    assert services.backfill() == 0


def test_a_scan_without_a_model_waits_and_a_promotion_fills_it_in(site, finished_analysis):
    scans = [ScanFactory(site=site, slot=Slot.CT) for _ in range(3)]
    assert services.analyses_queue(scans) == []
    assert (summary_of(scans[0]).status, summary_of(scans[0]).reason) == ("waiting", "no_model_for_modality")
    assert services.backfill() == 0
    ModelVersionFactory(slot=Slot.CT)
    assert services.backfill("cxr") == 0
    assert services.backfill("ct") == 3
    assert services.backfill() == 0
    assert summary_of(scans[0]).status == "analysing"


def test_old_analyses_keep_their_version_when_another_is_promoted(queued, finished_analysis, model):
    scan = queued()
    finished_analysis(pneumonia=0.8)
    make_active(ModelVersionFactory(number=2, status=ModelStatus.CANDIDATE))
    assert services.backfill() == 0
    assert scan.analyses.get().model_version == model


def test_a_backfill_ends_when_the_model_is_retired_under_its_hands(site, model, monkeypatch):
    scan = ScanFactory(site=site)
    real = services.active_models
    responses = iter([real()])
    monkeypatch.setattr(services, "active_models", lambda: next(responses, {}))
    assert services.backfill() == 0
    assert summary_of(scan).status == "waiting"
