"""The life of a training run. It ends in a candidate: only `model_promote` changes the active model."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from classifier.contract import Slot
from webapp.accounts.models import Site, User
from webapp.accounts.services import can
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs import table as jobs
from webapp.core.jobs.queues import notify_workers
from webapp.registry.comparisons import comparison_request
from webapp.registry.models import ModelStatus, ModelVersion
from webapp.registry.selectors import active_models
from webapp.registry.services import model_register
from webapp.training.failures import ARTIFACT_REFUSED
from webapp.training.models import (
    RunStatus,
    Snapshot,
    Start,
    TrainingRun,
    TrainingSchedule,
    Trigger,
    ValidationStatus,
)

TRAIN = "worker.tasks.train"
TRAIN_LEASE = timedelta(seconds=60)
OPTION_NAME = re.compile(r"[a-z][a-z_]{0,39}")
TEXT_LIMIT = 500
COUNTED_RUNS = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.DONE)
MAX_SEED = 2**31 - 1


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
    snapshot: Snapshot | None = None,
    slot: str = Slot.CXR,
    start: str = Start.SCRATCH,
    trigger: str = Trigger.PERSON,
    schedule: TrainingSchedule | None = None,
) -> TrainingRun:
    """Queue a training; `site=None` makes its candidate everybody's.

    It trains on the snapshot, or on the manifest (absolute path of a CSV); with neither on a snapshot that
    the worker makes of what is labelled then. `config` holds options of `python -m classifier train` by name;
    which of them exist is the worker's to know. `seed` may be among them. Raises CodedError `forbidden`,
    `invalid` with the fields, `data_unchanged` where the very same was trained already.
    """
    if not can(actor, "training.start", site):
        raise CodedError("forbidden")
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
    notify_workers(TRAIN, run.pk)
    return run


def already_trained(run: TrainingRun, snapshot: Snapshot) -> bool:
    """Whether training on the snapshot would tell nothing new.

    For what starts by itself that is any run on it that has not failed; for a person, one with the same
    options from the same weights.
    """
    others = TrainingRun.objects.filter(snapshot=snapshot, status__in=COUNTED_RUNS).exclude(pk=run.pk)
    if run.trigger != Trigger.PERSON:
        return others.exists()
    same = others.filter(config=run.config, seed=run.seed, start=run.start)
    if run.start == Start.ACTIVE:
        active = active_models().get(run.slot)
        same = same.filter(Q(base=active) | Q(base=None, status=RunStatus.QUEUED))
    return same.exists()


def training_prepared(
    *, run: TrainingRun, token: uuid.UUID, snapshot: Snapshot | None, base: ModelVersion | None
) -> bool:
    """Keep which data and weights the run works with; False when the attempt has lost its lease."""
    held = TrainingRun.objects.filter(pk=run.pk, attempt_token=token)
    kept = held.update(snapshot=snapshot, base=base)
    run.snapshot, run.base = snapshot, base
    return bool(kept)


@transaction.atomic
def training_skip(*, run: TrainingRun, token: uuid.UUID, snapshot: Snapshot | None, code: str) -> bool:
    """There is nothing new to train on; False when the attempt has lost its lease."""
    mine = jobs.finish(run, token, status=RunStatus.SKIPPED, error_code=code, snapshot=snapshot)
    if mine:
        record(actor=None, site=run.site, action="training.skipped", subject=run, detail={"code": code})
    return mine


@transaction.atomic
def training_cancel(*, run: TrainingRun, actor: User) -> TrainingRun:
    """End a waiting run now, a running one as soon as its worker looks; raises `forbidden`, `conflict`."""
    if not can(actor, "training.start", run.site):
        raise CodedError("forbidden")
    row = TrainingRun.objects.filter(pk=run.pk)
    waiting = row.filter(status=RunStatus.QUEUED)
    cancelled = waiting.update(status=RunStatus.CANCELLED, cancel_requested=True, finished_at=Now())
    if not (cancelled or row.filter(status=RunStatus.RUNNING).update(cancel_requested=True)):
        raise CodedError("conflict", "This training has already ended.", "Load the page again.")
    record(actor=actor, site=run.site, action="training.cancelled", subject=run)
    run.refresh_from_db()
    return run


def training_claim(*, code_version: str = "", lease: timedelta = TRAIN_LEASE) -> TrainingRun | None:
    """Take the oldest waiting run, or one that lost its worker; the worn-out ones are given up.

    A run on a snapshot whose audit has not ended waits for it: its warnings come first.
    """
    jobs.give_up(TrainingRun.objects.all())
    validated = Q(snapshot=None) | Q(
        snapshot__validation__status__in=(ValidationStatus.DONE, ValidationStatus.FAILED)
    )
    with transaction.atomic():
        keys = [run.pk for run in jobs.claim(TrainingRun.objects.filter(validated), n=1, lease=lease)]
        claimed = TrainingRun.objects.filter(pk__in=keys)
        claimed.update(code_version=code_version[:64])
        return claimed.select_related("site", "started_by", "snapshot", "base").first()


def training_progress(
    *,
    run: TrainingRun,
    token: uuid.UUID,
    progress: Mapping[str, float],
    lease: timedelta = TRAIN_LEASE,
    **told: Any,
) -> HeartbeatReply:
    """The heartbeat: prolongs the lease, keeps what the training said last, answers what to do next.

    `told` may be its `curve`, `log` and `options`.
    """
    held = TrainingRun.objects.filter(pk=run.pk, attempt_token=token)
    with transaction.atomic():
        if not jobs.extend(TrainingRun, token, lease=lease):
            return HeartbeatReply.LEASE_LOST
        held.update(progress=dict(progress), **told)
        cancelled = held.filter(cancel_requested=True).exists()
        return HeartbeatReply.CANCEL if cancelled else HeartbeatReply.CONTINUE


def training_done(*, run: TrainingRun, token: uuid.UUID, artifact: Path) -> ModelVersion | None:
    """Register the artifact as a candidate and have it compared with the active model on the test part.

    None, and nothing is changed, when the attempt lost its lease. An artifact that the registry
    refuses fails the run.
    """
    if not jobs.still_mine(run, token):
        return None
    try:
        version = model_register(artifact, by=run.started_by, site=run.site)
    except CodedError:
        training_fail(run=run, token=token, code=ARTIFACT_REFUSED)
        return None
    with transaction.atomic():
        if not jobs.finish(run, token, status=RunStatus.DONE, candidate=version, error_code=""):
            return None
        record(
            actor=None,
            site=run.site,
            action="training.done",
            subject=run,
            detail={"candidate": str(version.pk)},
        )
        if run.snapshot and version.status == ModelStatus.CANDIDATE:
            comparison_request(
                candidate=version,
                manifest_name=run.snapshot.stored_name,
                fingerprint=run.snapshot.fingerprint,
                site=run.site,
            )
    return version


@transaction.atomic
def training_fail(*, run: TrainingRun, token: uuid.UUID, code: str) -> bool:
    """The run failed with one of `failures.FAILURES`; False when the attempt has lost its lease."""
    mine = jobs.finish(run, token, status=RunStatus.FAILED, error_code=code)
    if mine:
        record(actor=None, site=run.site, action="training.failed", subject=run, detail={"code": code})
    return mine


def training_cancelled(*, run: TrainingRun, token: uuid.UUID) -> bool:
    """The worker has ended a run that a person cancelled; False when the attempt has lost its lease."""
    return jobs.finish(run, token, status=RunStatus.CANCELLED)


def training_release(token: uuid.UUID) -> int:
    """Hand a run back to the queue (a worker that shuts down); the next one goes on from its checkpoint."""
    return jobs.release(TrainingRun, token)


def options_wrong(options: Mapping[str, Any]) -> dict[str, list[str]]:
    """What no training could be started with, by the option's name."""
    wrong = {}
    for name, value in options.items():
        if name == "seed":
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEED:
                wrong[name] = [f"A whole number from 0 to {MAX_SEED} is needed."]
        elif not (OPTION_NAME.fullmatch(str(name)) and _plain(value)):
            wrong[str(name)[:40]] = ["An option has a name of small letters and a short, plain value."]
    return wrong


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


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= 50 and all(_plain(one) and not isinstance(one, list) for one in value)
    if isinstance(value, str):
        return len(value) <= TEXT_LIMIT and value.isascii() and value.isprintable()
    return isinstance(value, int | float) and math.isfinite(value)
