"""Trainings that start by themselves: by a schedule that is edited in the site, or by a rule.

The sweeper looks at the plans. A run is put into the ledger in the transaction that moves the plan on, so
that neither a lost message nor a killed process loses it; what there is to train on, its worker finds out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from classifier.contract import Slot
from webapp.accounts.models import Site, User
from webapp.accounts.services import can
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.labels.models import Label
from webapp.training.models import Cadence, RetrainingPlan, RunStatus, Start, TrainingRun, Trigger
from webapp.training.services import options_wrong, training_start

LOOK_AHEAD_DAYS = 63
UNFINISHED = (RunStatus.QUEUED, RunStatus.RUNNING)
BETWEEN_ALARMS = timedelta(days=1)
FIELDS = ("enabled", "cadence", "weekday", "day", "at", "new_labels", "on_drift", "start", "config")


@transaction.atomic
def plan_set(*, site: Site | None, slot: str, actor: User, rules: Mapping[str, Any]) -> RetrainingPlan:
    """Write the one plan of a site and slot; what is left out keeps its value, or its default.

    Raises CodedError `forbidden`, `invalid` with the fields.
    """
    if not can(actor, "training.start", site):
        raise CodedError("forbidden")
    plan = RetrainingPlan.objects.select_for_update().filter(site=site, slot=slot).first()
    plan = plan or RetrainingPlan(site=site, slot=slot, at=time(2, 0))
    for name in FIELDS:
        if name in rules:
            setattr(plan, name, rules[name])
    plan.made_by = actor
    _check(plan)
    plan.next_at = next_time(plan, timezone.now())
    plan.save()
    detail = {"cadence": plan.cadence, "new_labels": plan.new_labels, "on_drift": plan.on_drift}
    detail["enabled"] = plan.enabled
    record(actor=actor, site=site, action="plan.changed", subject=plan, detail=detail)
    return plan


@transaction.atomic
def plan_delete(*, plan: RetrainingPlan, actor: User) -> None:
    """Nothing starts by it any more; the runs that it started stay. Raises CodedError `forbidden`."""
    if not can(actor, "training.start", plan.site):
        raise CodedError("forbidden")
    record(actor=actor, site=plan.site, action="plan.deleted", subject=plan)
    plan.delete()


def plans_consider(now: datetime | None = None) -> int:
    """Start what is due by the clock or by new labels; answers how many runs were queued."""
    now = now or timezone.now()
    by_labels = Q(new_labels__isnull=False)
    plans = RetrainingPlan.objects.filter(Q(next_at__lte=now) | by_labels, enabled=True)
    return sum(_fire(key, now) is not None for key in list(plans.values_list("pk", flat=True)))


@transaction.atomic
def drift_alarm_raised(*, site: Site, slot: str = Slot.CXR) -> list[TrainingRun]:
    """What monitoring calls when it raises an alarm: the plans that ask for it start, once a day at most."""
    plans = RetrainingPlan.objects.select_for_update().filter(
        Q(site=site) | Q(site=None), slot=slot, enabled=True, on_drift=True
    )
    since = timezone.now() - BETWEEN_ALARMS
    started = []
    for plan in plans:
        recent = plan.training_runs.filter(trigger=Trigger.DRIFT, created_at__gt=since)
        if not (recent.exists() or _unfinished(plan)) and may_still(plan):
            started.append(_start(plan, Trigger.DRIFT))
    return started


def next_time(plan: RetrainingPlan, after: datetime) -> datetime | None:
    """When the plan's clock strikes next, in the site's time zone; None for one without a clock."""
    if plan.cadence == Cadence.NEVER:
        return None
    zone = ZoneInfo(plan.site.timezone if plan.site else "UTC")
    today = after.astimezone(zone).date()
    for days in range(LOOK_AHEAD_DAYS):
        day = today + timedelta(days)
        struck = datetime.combine(day, plan.at, tzinfo=zone)
        fits = {
            Cadence.DAILY: True,
            Cadence.WEEKLY: day.weekday() == plan.weekday,
            Cadence.MONTHLY: day.day == plan.day,
        }
        if fits[Cadence(plan.cadence)] and struck > after:
            return struck.astimezone(UTC)
    raise AssertionError("every month has such a day")


@transaction.atomic
def _fire(key: Any, now: datetime) -> TrainingRun | None:
    plan = RetrainingPlan.objects.select_for_update(of=("self",)).select_related("site", "made_by")
    plan = plan.filter(pk=key, enabled=True).first()
    if plan is None:
        return None
    due = plan.next_at is not None and plan.next_at <= now
    if due:
        plan.next_at = next_time(plan, now)
        plan.save(update_fields=["next_at"])
    # A run that still waits will find what is new by itself.
    if _unfinished(plan) or not (due or _enough_labels(plan)) or not may_still(plan):
        return None
    return _start(plan, Trigger.SCHEDULE if due else Trigger.LABELS)


def may_still(plan: RetrainingPlan) -> bool:
    """A plan starts nothing in the name of somebody who may not start it any more."""
    return can(plan.made_by, "training.start", plan.site)


def _start(plan: RetrainingPlan, trigger: str) -> TrainingRun:
    return training_start(
        site=plan.site, actor=plan.made_by, config=plan.config, slot=plan.slot, start=plan.start,
        trigger=trigger, plan=plan,
    )  # fmt: skip


def _unfinished(plan: RetrainingPlan) -> bool:
    return plan.training_runs.filter(status__in=UNFINISHED).exists()


def _enough_labels(plan: RetrainingPlan) -> bool:
    if not plan.new_labels:
        return False
    latest = plan.training_runs.order_by("-created_at").values_list("created_at", flat=True).first()
    labels = Label.objects.filter(scan__slot=plan.slot, created_at__gt=latest or plan.created_at)
    if plan.site:
        labels = labels.filter(site=plan.site)
    return labels.order_by().values("scan").distinct().count() >= plan.new_labels


def _check(plan: RetrainingPlan) -> None:
    wrong: dict[str, list[str]] = {}
    if plan.slot not in set(Slot):
        wrong["slot"] = [f"One of {', '.join(Slot)} is needed."]
    for name, choices in (("cadence", Cadence.values), ("start", Start.values)):
        if getattr(plan, name) not in choices:
            wrong[name] = [f"One of {', '.join(choices)} is needed."]
    for name, low, high in (("weekday", 0, 6), ("day", 1, 28), ("new_labels", 1, 1_000_000)):
        value = getattr(plan, name)
        optional = name == "new_labels" and value is None
        if not (optional or (isinstance(value, int) and low <= value <= high)):
            wrong[name] = [f"A whole number from {low} to {high:,} is needed."]
    if not isinstance(plan.at, time):
        wrong["at"] = ["A time of day, as 02:00, is needed."]
    if wrong := wrong | options_wrong(plan.config):
        raise CodedError("invalid", fields=wrong)
