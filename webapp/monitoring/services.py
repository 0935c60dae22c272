"""The life of references, rounds and alarms. What they are computed from is the worker's affair."""

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
from webapp.accounts.services import can
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import notify_workers
from webapp.monitoring.kinds import Kind
from webapp.monitoring.models import (
    COMMENT_AT_MOST,
    Act,
    Alarm,
    AlarmEvent,
    AlarmStatus,
    Baseline,
    Round,
    Summary,
)
from webapp.monitoring.streams import Case
from webapp.registry.models import ModelVersion

MONITOR = "worker.tasks.monitor"
PASSED, ACCEPTED, RETIRED = "passed", "accepted", "retired"
OUTCOMES = (PASSED, ACCEPTED)
NIL = UUID(int=0)


@dataclass(frozen=True)
class Standing:
    """How a round stands; `since` and `detail` go into an alarm, where the limit was reached."""

    cases: int
    latest: Case
    capital: float
    highest: float
    points: list[list[Any]]
    by_score: Mapping[str, float]
    since: datetime | None = None
    detail: Mapping[str, Any] | None = None


@transaction.atomic
def baseline_begin(
    *, site: Site, version: ModelVersion | None, kind: Kind, cases: list[Case], data: Mapping[str, Any]
) -> Round:
    """Hold the stream from behind these cases on against them: they are the chart's reference from now on."""
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
    record(actor=None, site=site, action="monitoring.reference_begun", subject=baseline, detail=detail)
    return Round.objects.create(baseline=baseline, number=1, after=cases[-1].at, after_key=cases[-1].key)


@transaction.atomic
def round_store(*, round: Round, standing: Standing) -> Alarm | None:
    """Write down how a round stands; opens an alarm where the limit was reached, once a round."""
    Round.objects.select_for_update().get(pk=round.pk)
    round.cases, round.capital, round.highest = standing.cases, standing.capital, standing.highest
    round.latest, round.latest_key = standing.latest.at, standing.latest.key
    round.points, round.by_score = standing.points, dict(standing.by_score)
    round.save()
    if standing.since is None or Alarm.objects.filter(round=round).exists():
        return None
    return _open(round, since=standing.since, detail=dict(standing.detail or {}))


def is_alarmed(round: Round) -> bool:
    """Whether the round has an alarm that is not closed: until then no other begins."""
    return Alarm.objects.filter(round=round).exclude(status=AlarmStatus.CLOSED).exists()


@transaction.atomic
def round_next(*, round: Round, now: bool = False) -> Round:
    """End a round and begin the next one behind it, or with this moment, against the same reference."""
    round.ended_at = timezone.now()
    round.save(update_fields=["ended_at"])
    behind = (round.ended_at, NIL) if now or round.latest is None else (round.latest, round.latest_key)
    return Round.objects.create(
        baseline=round.baseline, number=round.number + 1, after=behind[0], after_key=behind[1]
    )


@transaction.atomic
def alarm_acknowledge(*, alarm: Alarm, actor: User, comment: str = "") -> Alarm:
    """Somebody has seen it; raises CodedError `forbidden`, `invalid`, `conflict` for one that is not open."""
    alarm = _locked(alarm, actor)
    _move(alarm, AlarmStatus.ACKNOWLEDGED)
    _note(alarm, Act.ACKNOWLEDGED, actor, comment)
    return alarm


@transaction.atomic
def alarm_comment(*, alarm: Alarm, actor: User, comment: str) -> Alarm:
    """Add a line to the trail; raises CodedError `forbidden`, `invalid` for an empty one."""
    alarm = _locked(alarm, actor)
    if not comment.strip():
        raise CodedError("invalid", "A comment says something.", "Write what you found out.")
    _note(alarm, Act.COMMENTED, actor, comment)
    return alarm


@transaction.atomic
def alarm_close(*, alarm: Alarm, actor: User, outcome: str, comment: str) -> Alarm:
    """Close an alarm and watch again: against the same reference (`passed`), or what came (`accepted`).

    Raises CodedError `forbidden`, `invalid` for an unknown outcome, `reason_missing` without a comment,
    `conflict` for one that is closed.
    """
    alarm = _locked(alarm, actor)
    if outcome not in OUTCOMES:
        raise CodedError("invalid", "An outcome is needed.", "Say whether the change passed or is accepted.")
    if not comment.strip():
        raise CodedError("reason_missing")
    _close(alarm, actor, outcome, comment)
    if alarm.round and alarm.round.ended_at is None and alarm.round.baseline.ended_at is None:
        _watch_again(alarm, alarm.round, outcome)
    notify_workers(MONITOR)
    return alarm


@transaction.atomic
def alarms_retire() -> int:
    """Close the alarms of versions that are active no more; answers how many."""
    idle = Alarm.objects.exclude(status=AlarmStatus.CLOSED).exclude(model_version=None)
    idle = idle.exclude(model_version__status="active")
    alarms = list(idle.select_for_update(of=("self",)))
    for alarm in alarms:
        _close(alarm, None, RETIRED, "")
        if alarm.round and alarm.round.ended_at is None:
            round_next(round=alarm.round, now=True)
    return len(alarms)


def alarm_mailed(*, alarm: Alarm) -> None:
    Alarm.objects.filter(pk=alarm.pk).update(mailed_at=timezone.now())


def summary_store(*, site: Site, version: ModelVersion, body: Mapping[str, Any]) -> None:
    Summary.objects.update_or_create(
        site=site, model_version=version, defaults={"at": timezone.now(), "body": dict(body)}
    )


def _open(round: Round, *, since: datetime, detail: dict[str, Any]) -> Alarm | None:
    baseline = round.baseline
    of = {"site": baseline.site, "model_version": baseline.model_version, "kind": baseline.kind}
    if Alarm.objects.filter(**of).exclude(status=AlarmStatus.CLOSED).exists():
        return None
    alarm = Alarm.objects.create(**of, round=round, since=since, detail=detail)
    _note(alarm, Act.OPENED, None, "")
    return alarm


def _close(alarm: Alarm, actor: User | None, outcome: str, comment: str) -> None:
    alarm.closed_at = timezone.now()
    _move(alarm, AlarmStatus.CLOSED)
    _note(alarm, Act.CLOSED, actor, comment, outcome)


def _watch_again(alarm: Alarm, round: Round, outcome: str) -> None:
    if outcome == PASSED:
        round_next(round=round, now=True)
        return
    now, baseline = timezone.now(), round.baseline
    round.ended_at = baseline.ended_at = now
    baseline.resumes = alarm.since
    round.save(update_fields=["ended_at"])
    baseline.save(update_fields=["ended_at", "resumes"])


def _locked(alarm: Alarm, actor: User) -> Alarm:
    if not can(actor, Permission.ALARM_MANAGE, alarm.site):
        raise CodedError("forbidden")
    return (
        Alarm.objects.select_for_update(of=("self",))
        .select_related("site", "round__baseline")
        .get(pk=alarm.pk)
    )


def _move(alarm: Alarm, target: AlarmStatus) -> None:
    if not alarm.TRANSITIONS.allows(alarm.status, target):
        raise CodedError("conflict", f"This alarm is {alarm.status} already.")
    alarm.status = target
    alarm.save()


def _note(alarm: Alarm, act: Act, by: User | None, comment: str, outcome: str = "") -> None:
    """A line of the alarm's trail and one of the audit trail, which holds no free text."""
    comment = comment.replace("\r\n", "\n").strip()
    if len(comment) > COMMENT_AT_MOST or "\x00" in comment:
        raise CodedError("invalid", f"A comment has at most {COMMENT_AT_MOST} characters.", "Shorten it.")
    AlarmEvent.objects.create(alarm=alarm, act=act, by=by, comment=comment, outcome=outcome)
    detail = {"kind": alarm.kind, **({"outcome": outcome} if outcome else {})}
    record(actor=by, site=alarm.site, action=f"alarm.{act}", subject=alarm, detail=detail)
