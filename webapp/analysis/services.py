"""Writes to analyses. Each keeps the worklist's summaries true in its own transaction."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.dispatch import receiver

from classifier.contract import Cam, Prediction
from webapp.accounts.models import User
from webapp.analysis.calibrated import at_site, cam_at_site, output_of
from webapp.analysis.models import Analysis, AnalysisCam
from webapp.analysis.shadow import shadows_queue
from webapp.analysis.signals import analysis_finished
from webapp.analysis.worklist import summaries
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.core.jobs.table import JobStatus, job_failed
from webapp.registry.calibrations import active_calibration
from webapp.registry.selectors import active_models
from webapp.scans.models import Patient, Scan
from webapp.scans.signals import filing_changed, scans_created
from webapp.webhooks.kinds import EventKind
from webapp.webhooks.services import announce

BACKFILL_BATCH = 500


@receiver(scans_created)
def _queue_new(scans: Iterable[Scan], **kwargs: Any) -> None:
    analyses_queue(scans)
    shadows_queue(scans)


@receiver(filing_changed)
def _renew_worklist(studies: Iterable[uuid.UUID], patients: Iterable[uuid.UUID], **kwargs: Any) -> None:
    summaries.refresh_studies(studies)
    summaries.refresh_names(patients)


@transaction.atomic
def analyses_queue(scans: Iterable[Scan]) -> list[Analysis]:
    """Queue each scan for the active model of its slot; a scan without one waits for a promotion.

    Repeating it does nothing: one analysis per scan and model version.
    """
    scans, models = list(scans), active_models()
    wanted = [Analysis(scan=scan, model_version=models[scan.slot]) for scan in scans if scan.slot in models]
    Analysis.objects.bulk_create(wanted, ignore_conflicts=True)
    summaries.refresh(scan.pk for scan in scans)
    if wanted:
        notify_workers(Queue.INFER)
    return list(Analysis.objects.filter(scan__in=scans, model_version__in=models.values()))


@transaction.atomic
def analysis_done(*, analysis: Analysis, prediction: Prediction, cam: Cam, seconds: float) -> bool:
    """Store a model's result, by the site's calibration if it uses one, with the model's own output.

    False, and nothing is changed, when the attempt has lost its lease.
    """
    own, version = prediction, analysis.model_version
    calibration = active_calibration(analysis.scan.site_id, version)
    prediction = at_site(own, version.model_spec, calibration) if calibration else own
    mine = analysis.finish(
        JobStatus.DONE,
        finding=prediction.finding or "",
        uncertainty=prediction.uncertainty,
        probabilities=dict(prediction.probabilities),
        abstention=str(prediction.abstention or ""),
        withheld=prediction.withheld,
        prediction_set=prediction.prediction_set and prediction.prediction_set._asdict(),
        warnings=[str(warning) for warning in prediction.warnings],
        measures=prediction.measures.as_dict(),
        seconds=seconds,
        calibration=calibration,
        model_output=output_of(own) if calibration else None,
    )
    if mine:
        cam = cam_at_site(cam, own, prediction)
        AnalysisCam.objects.create(analysis=analysis, cam=cam.as_dict())
        summaries.refresh([analysis.scan_id])
        status = "abstained" if prediction.withheld else "done"
        reason = str(prediction.abstention) if prediction.withheld else None
        _announce(analysis, EventKind.ANALYSIS_DONE, status=status, reason=reason)
        analysis_finished.send(Analysis, analysis=Analysis.objects.get(pk=analysis.pk))
    return mine


@receiver(job_failed, sender=Analysis)
def _announce_failure(job: Analysis, **kwargs: Any) -> None:
    summaries.refresh([job.scan_id])
    _announce(job, EventKind.ANALYSIS_FAILED, status="failed", reason=job.error_code)


@transaction.atomic
def analysis_retry(*, analysis: Analysis, actor: User) -> Analysis:
    """Queue a failed analysis again; returns another one, of the active model, if its own was replaced.

    Raises CodedError `conflict` when it is not a failed one any more.
    """
    analysis.refresh_from_db()
    failed = JobStatus.FAILED
    if analysis.status != failed:
        raise CodedError("conflict")
    if analysis.model_version not in active_models().values():
        analysis = next(iter(analyses_queue([analysis.scan])), analysis)
    if analysis.status == failed and not analysis.retry():
        raise CodedError("conflict")
    summaries.refresh([analysis.scan_id])
    record(actor=actor, site=analysis.scan.site, action="analysis.retried", subject=analysis)
    notify_workers(Queue.INFER)
    analysis.refresh_from_db()
    return analysis


@transaction.atomic
def analysis_reveal(*, analysis: Analysis, actor: User) -> None:
    """Record that a reader looks at what is withheld; raises CodedError `conflict` where nothing is."""
    if not (analysis.status == JobStatus.DONE and analysis.withheld):
        raise CodedError("conflict")
    detail = {"reason": analysis.abstention, "scan": str(analysis.scan_id)}
    record(actor=actor, site=analysis.scan.site, action="analysis.revealed", subject=analysis, detail=detail)


@transaction.atomic
def patient_rescore(*, patient: Patient, actor: User) -> int:
    """Queue the patient's scans for the active models, so that one reads all; returns how many wait."""
    queued = analyses_queue(Scan.objects.filter(series__study__patient=patient))
    waiting = sum(analysis.status == JobStatus.QUEUED for analysis in queued)
    detail = {"scans": waiting}
    record(actor=actor, site=patient.site, action="patient.rescored", subject=patient, detail=detail)
    return waiting


def backfill(slot: str | None = None) -> int:
    """Queue the scans without a result for the active model of their slot; returns how many.

    The sweeper calls it, woken by every promotion. Scans keep the result that they have; on one that the
    active model itself has failed, a person decides. `slot` None: every slot.
    """
    queued = 0
    # Nothing made of a batch: its model was retired meanwhile, and the scans go on waiting.
    while made := len(analyses_queue(_not_analysed(slot)[:BACKFILL_BATCH])):
        queued += made
    return queued


def _not_analysed(slot: str | None) -> QuerySet[Scan]:
    models = {s: version for s, version in active_models().items() if slot in (None, s)}
    settled = ~Q(status=JobStatus.FAILED) | Q(model_version__in=models.values())
    analysed = Exists(Analysis.objects.filter(settled, scan=OuterRef("pk")))
    return Scan.objects.filter(~analysed, slot__in=models).order_by("received_at")


def _announce(analysis: Analysis, kind: EventKind, **data: str | None) -> None:
    """The summaries were renewed before, which has locked the scan."""
    announce(
        site_id=analysis.scan.site_id,
        kind=kind,
        subject=analysis.scan_id,
        data={"analysis": str(analysis.pk), "model": str(analysis.model_version_id), **data},
    )
