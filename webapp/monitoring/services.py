"""Writing baselines, monitoring runs and alarms; the worker computes what is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from webapp.accounts.models import Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import (
    COMMENT_AT_MOST,
    Alarm,
    AlarmAction,
    AlarmEvent,
    AlarmStatus,
    Baseline,
    MonitoringRun,
    MonitoringSummary,
)
from webapp.monitoring.streams import Case
from webapp.registry.models import ModelVersion

PASSED, ACCEPTED, RETIRED = "passed", "accepted", "retired"
OUTCOMES = (PASSED, ACCEPTED)
NIL = UUID(int=0)


@dataclass(frozen=True)
class RunState:
    """The current state of a run; `since` and `detail` are set once it reached the alarm limit."""

    cases: int
    latest: Case
    martingale: float
    max_martingale: float
    points: list[list[Any]]
    by_score: Mapping[str, float]
    since: datetime | None = None
    detail: Mapping[str, Any] | None = None


@transaction.atomic
def baseline_begin(
    *, site: Site, version: ModelVersion | None, kind: Signal, cases: list[Case], data: Mapping[str, Any]
) -> MonitoringRun:
    """Store these cases as the baseline and start its first run after them."""
    baseline = Baseline.objects.create(
        site=site,
        model_version=version,
        kind=kind,
        cases=len(cases),
        data=dict(data),
        since=cases[0].at,
        until=cases[-1].at,
        until_key=cases[-1].key,
    )
    detail = {"kind": str(kind), "cases": len(cases), "model": str(version.pk) if version else None}
    record(actor=None, site=site, action="monitoring.baseline_created", subject=baseline, detail=detail)
    return MonitoringRun.objects.create(
        baseline=baseline, number=1, after=cases[-1].at, after_key=cases[-1].key
    )


@transaction.atomic
def run_store(*, run: MonitoringRun, state: RunState) -> Alarm | None:
    """Store the state of a run; opens an alarm at the limit, at most one a run."""
    MonitoringRun.objects.select_for_update().get(pk=run.pk)
    run.cases, run.martingale, run.max_martingale = state.cases, state.martingale, state.max_martingale
    run.latest, run.latest_key = state.latest.at, state.latest.key
    run.points, run.by_score = state.points, dict(state.by_score)
    run.save()
    if state.since is None or Alarm.objects.filter(run=run).exists():
        return None
    return _open(run, since=state.since, detail=dict(state.detail or {}))


def has_open_alarm(run: MonitoringRun) -> bool:
    """Whether the run has an alarm that is not closed; no other run starts before it is."""
    return Alarm.objects.filter(run=run).exclude(status=AlarmStatus.CLOSED).exists()


@transaction.atomic
def run_next(*, run: MonitoringRun, now: bool = False) -> MonitoringRun:
    """End a run and start the next one after its last case, or now, against the same baseline."""
    run.ended_at = timezone.now()
    run.save(update_fields=["ended_at"])
    after = (run.ended_at, NIL) if now or run.latest is None else (run.latest, run.latest_key or NIL)
    return MonitoringRun.objects.create(
        baseline=run.baseline, number=run.number + 1, after=after[0], after_key=after[1]
    )


@transaction.atomic
def alarm_acknowledge(*, alarm: Alarm, actor: User, comment: str = "") -> Alarm:
    """Raises CodedError `forbidden`, `invalid`, or `conflict` if the alarm is not open."""
    alarm = _locked(alarm, actor)
    _move(alarm, AlarmStatus.ACKNOWLEDGED)
    _note(alarm, AlarmAction.ACKNOWLEDGED, actor, comment)
    return alarm


@transaction.atomic
def alarm_comment(*, alarm: Alarm, actor: User, comment: str) -> Alarm:
    """Raises CodedError `forbidden`, or `invalid` for an empty comment."""
    alarm = _locked(alarm, actor)
    if not comment.strip():
        raise CodedError("invalid", "The comment is empty.", "Enter a comment.")
    _note(alarm, AlarmAction.COMMENTED, actor, comment)
    return alarm


@transaction.atomic
def alarm_close(*, alarm: Alarm, actor: User, outcome: str, comment: str) -> Alarm:
    """Close an alarm and resume monitoring: with the same baseline (`passed`) or a new one (`accepted`).

    Raises CodedError `forbidden`, `invalid` for an unknown outcome, `reason_missing` without a comment,
    `conflict` if the alarm is closed.
    """
    alarm = _locked(alarm, actor)
    if outcome not in OUTCOMES:
        raise CodedError("invalid", f"{outcome!r} is not an outcome.", f"Use one of {', '.join(OUTCOMES)}.")
    if not comment.strip():
        raise CodedError("reason_missing")
    _close(alarm, actor, outcome, comment)
    if alarm.run and alarm.run.ended_at is None and alarm.run.baseline.ended_at is None:
        _resume(alarm, alarm.run, outcome)
    notify_workers(Queue.MONITOR)
    return alarm


@transaction.atomic
def alarms_retire() -> int:
    """Close the alarms of model versions that are no longer active; returns how many."""
    idle = Alarm.objects.exclude(status=AlarmStatus.CLOSED).exclude(model_version=None)
    idle = idle.exclude(model_version__status="active")
    alarms = list(idle.select_for_update(of=("self",)))
    for alarm in alarms:
        _close(alarm, None, RETIRED, "")
        if alarm.run and alarm.run.ended_at is None:
            run_next(run=alarm.run, now=True)
    return len(alarms)


def alarm_mailed(*, alarm: Alarm) -> None:
    Alarm.objects.filter(pk=alarm.pk).update(mailed_at=timezone.now())


def summary_store(*, site: Site, version: ModelVersion, body: Mapping[str, Any]) -> None:
    MonitoringSummary.objects.update_or_create(
        site=site, model_version=version, defaults={"at": timezone.now(), "body": dict(body)}
    )


def _open(run: MonitoringRun, *, since: datetime, detail: dict[str, Any]) -> Alarm | None:
    baseline = run.baseline
    of = {"site": baseline.site, "model_version": baseline.model_version, "kind": baseline.kind}
    if Alarm.objects.filter(**of).exclude(status=AlarmStatus.CLOSED).exists():
        return None
    alarm = Alarm.objects.create(**of, run=run, since=since, detail=detail)
    _note(alarm, AlarmAction.OPENED, None, "")
    return alarm


def _close(alarm: Alarm, actor: User | None, outcome: str, comment: str) -> None:
    alarm.closed_at = timezone.now()
    _move(alarm, AlarmStatus.CLOSED)
    _note(alarm, AlarmAction.CLOSED, actor, comment, outcome)


def _resume(alarm: Alarm, run: MonitoringRun, outcome: str) -> None:
    if outcome == PASSED:
        run_next(run=run, now=True)
        return
    now, baseline = timezone.now(), run.baseline
    run.ended_at = baseline.ended_at = now
    baseline.resumes = alarm.since
    run.save(update_fields=["ended_at"])
    baseline.save(update_fields=["ended_at", "resumes"])


def _locked(alarm: Alarm, actor: User) -> Alarm:
    demand(actor, Permission.ALARM_MANAGE, alarm.site)
    return (
        Alarm.objects.select_for_update(of=("self",)).select_related("site", "run__baseline").get(pk=alarm.pk)
    )


def _move(alarm: Alarm, target: AlarmStatus) -> None:
    if not alarm.TRANSITIONS.allows(alarm.status, target):
        raise CodedError("conflict", f"This alarm is already {alarm.status}.")
    alarm.status = target
    alarm.save()


def _note(alarm: Alarm, action: AlarmAction, by: User | None, comment: str, outcome: str = "") -> None:
    """Add an entry to the alarm's history, and one without free text to the audit log."""
    comment = comment.replace("\r\n", "\n").strip()
    if len(comment) > COMMENT_AT_MOST or "\x00" in comment:
        raise CodedError("invalid", f"The comment exceeds {COMMENT_AT_MOST} characters.", "Shorten it.")
    AlarmEvent.objects.create(alarm=alarm, action=action, by=by, comment=comment, outcome=outcome)
    detail = {"kind": alarm.kind, **({"outcome": outcome} if outcome else {})}
    record(actor=by, site=alarm.site, action=f"alarm.{action}", subject=alarm, detail=detail)
