"""The life of a training run. It ends in a candidate: only `model_promote` changes the active model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.dispatch import receiver

from classifier.contract import Slot
from webapp.accounts.models import Site, User
from webapp.accounts.services import demand
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.core.jobs.table import LEASE, JobStatus, job_failed
from webapp.registry.comparisons import comparison_request
from webapp.registry.models import ModelStatus, ModelVersion
from webapp.registry.selectors import active_models
from webapp.registry.services import model_register
from webapp.training.failures import ARTIFACT_REFUSED
from webapp.training.models import RunStatus, Snapshot, Start, TrainingRun, TrainingSchedule, Trigger
from webapp.training.options import data_set_manifest, options_wrong

COUNTED_RUNS = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.DONE)


class HeartbeatReply(StrEnum):
    """What whoever holds a run is to do next."""

    CONTINUE = "continue"
    CANCEL = "cancel"
    LEASE_LOST = "lease_lost"


@transaction.atomic
def training_start(
    *,
    site: Site | None,
    actor: User,
    config: Mapping[str, Any],
    manifest: str = "",
    data_set: str = "",
    snapshot: Snapshot | None = None,
    slot: str = Slot.CXR,
    start: str = Start.SCRATCH,
    trigger: str = Trigger.PERSON,
    schedule: TrainingSchedule | None = None,
) -> TrainingRun:
    """Queue a training run; with `site=None` its candidate belongs to all sites.

    It trains on the snapshot, on the `data_set` (a CSV below a folder of HILUM_DATA_SETS), or on a new
    snapshot. Only the command line may give a `manifest`, the absolute path of any CSV. `config` holds
    options of `python -m classifier train` without paths. Raises CodedError `forbidden`, `invalid` with the
    fields, `data_unchanged` if the same run exists.
    """
    demand(actor, "training.start", site)
    manifest = manifest or data_set_manifest(data_set)
    options = dict(config)
    slot = options.pop("slot", slot)
    slot = snapshot.slot if snapshot else slot
    _check(manifest, options, slot, start)
    seed = options.pop("seed", 0)
    run = TrainingRun(
        site=site, started_by=actor, manifest=manifest, snapshot=snapshot, slot=slot, start=start,
        trigger=trigger, schedule=schedule, config=options, seed=seed,
    )  # fmt: skip
    if snapshot and already_trained(run, snapshot):
        raise CodedError("data_unchanged")
    run.save()
    detail = {"trigger": trigger, "start": start, "snapshot": str(snapshot.pk) if snapshot else None}
    record(actor=actor, site=site, action="training.started", subject=run, detail=detail)
    notify_workers(Queue.TRAIN)
    return run


def already_trained(run: TrainingRun, snapshot: Snapshot) -> bool:
    """Whether the snapshot was trained on before.

    For an automatic run, by any run that has not failed; for a person, by one with the same options and
    initial weights.
    """
    others = TrainingRun.objects.filter(snapshot=snapshot, status__in=COUNTED_RUNS).exclude(pk=run.pk)
    if run.trigger != Trigger.PERSON:
        return others.exists()
    same = others.filter(config=run.config, seed=run.seed, start=run.start)
    if run.start == Start.ACTIVE:
        active = active_models().get(run.slot)
        same = same.filter(Q(base=active) | Q(base=None, status=RunStatus.QUEUED))
    return same.exists()


def training_prepared(*, run: TrainingRun, snapshot: Snapshot | None, base: ModelVersion | None) -> bool:
    """Keep which data and weights the run works with; False if the lease was lost."""
    run.snapshot, run.base = snapshot, base
    held = TrainingRun.objects.filter(pk=run.pk, attempt_token=run.attempt_token)
    return bool(held.update(snapshot=snapshot, base=base))


@transaction.atomic
def training_skip(*, run: TrainingRun, snapshot: Snapshot | None, code: str) -> bool:
    """There is nothing new to train on; False if the lease was lost."""
    mine = run.finish(RunStatus.SKIPPED, error_code=code, snapshot=snapshot)
    if mine:
        record(actor=None, site=run.site, action="training.skipped", subject=run, detail={"code": code})
    return mine


@transaction.atomic
def training_cancel(*, run: TrainingRun, actor: User) -> TrainingRun:
    """End a waiting run now, a running one as soon as its worker looks; raises `forbidden`, `conflict`."""
    demand(actor, "training.start", run.site)
    row = TrainingRun.objects.filter(pk=run.pk)
    waiting = row.filter(status=RunStatus.QUEUED)
    cancelled = waiting.update(status=RunStatus.CANCELLED, cancel_requested=True, finished_at=Now())
    if not (cancelled or row.filter(status=RunStatus.RUNNING).update(cancel_requested=True)):
        raise CodedError("conflict", "This training has already ended.", "Load the page again.")
    record(actor=actor, site=run.site, action="training.cancelled", subject=run)
    run.refresh_from_db()
    return run


def training_claim(*, code_version: str = "", lease: timedelta = LEASE) -> TrainingRun | None:
    """Claim the oldest run; one on a snapshot waits until the snapshot's data validation has ended."""
    validated = Q(snapshot=None) | Q(snapshot__validation__status__in=(JobStatus.DONE, JobStatus.FAILED))
    run: TrainingRun
    for run in TrainingRun.objects.filter(validated).claim(lease=lease):
        run.code_version = code_version[:64]
        TrainingRun.objects.filter(pk=run.pk).update(code_version=run.code_version)
        return run
    return None


def training_progress(*, run: TrainingRun, progress: Mapping[str, float], **output: Any) -> HeartbeatReply:
    """The heartbeat: extends the lease and stores the progress; returns what to do next.

    `output` may be its `curve`, `log` and `options`.
    """
    held = TrainingRun.objects.filter(pk=run.pk, attempt_token=run.attempt_token)
    with transaction.atomic():
        if not run.extend_lease():
            return HeartbeatReply.LEASE_LOST
        held.update(progress=dict(progress), **output)
        cancelled = held.filter(cancel_requested=True).exists()
        return HeartbeatReply.CANCEL if cancelled else HeartbeatReply.CONTINUE


def training_done(*, run: TrainingRun, artifact: Path) -> ModelVersion | None:
    """Register the artifact as a candidate and have it compared with the active model on the test part.

    None, and nothing is changed, if the lease was lost. An artifact that the registry
    refuses fails the run.
    """
    if not run.is_held():
        return None
    try:
        version = model_register(artifact, by=run.started_by, site=run.site)
    except CodedError:
        run.fail(ARTIFACT_REFUSED)
        return None
    with transaction.atomic():
        if not run.finish(RunStatus.DONE, candidate=version):
            return None
        detail = {"candidate": str(version.pk)}
        record(actor=None, site=run.site, action="training.done", subject=run, detail=detail)
        if run.snapshot and version.status == ModelStatus.CANDIDATE:
            comparison_request(
                candidate=version,
                manifest_name=run.snapshot.stored_name,
                fingerprint=run.snapshot.fingerprint,
                site=run.site,
            )
    return version


@receiver(job_failed, sender=TrainingRun)
def _record_failure(job: TrainingRun, **kwargs: Any) -> None:
    detail = {"code": job.error_code}
    record(actor=None, site=job.site, action="training.failed", subject=job, detail=detail)


def _check(manifest: str, options: Mapping[str, Any], slot: object, start: object) -> None:
    wrong: dict[str, list[str]] = {}
    path = Path(manifest)
    if manifest and not (path.is_absolute() and len(manifest) <= 1000 and manifest.isprintable()):
        wrong["manifest"] = ["The absolute path of a CSV is needed."]
    if slot not in set(Slot):
        wrong["slot"] = [f"One of {', '.join(Slot)} is needed."]
    if start not in Start.values:
        wrong["start"] = [f"One of {', '.join(Start.values)} is needed."]
    if wrong := wrong | options_wrong(options):
        raise CodedError("invalid", fields=wrong)
