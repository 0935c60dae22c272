"""Automatic training: by a schedule, by new labels or by a drift alarm.

The sweeper looks at the schedules. The run is queued in the transaction that moves the schedule on, so
neither a lost message nor a killed process loses it. Its worker finds out what there is to train on.
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
from webapp.accounts.services import can, demand
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.labels.models import Label
from webapp.training.models import Cadence, RunStatus, Start, TrainingRun, TrainingSchedule, Trigger
from webapp.training.options import options_wrong
from webapp.training.services import training_start

LOOK_AHEAD_DAYS = 63
UNFINISHED = (RunStatus.QUEUED, RunStatus.RUNNING)
BETWEEN_ALARMS = timedelta(days=1)
FIELDS = ("enabled", "cadence", "weekday", "day", "at", "new_labels", "on_drift", "start", "config")


@transaction.atomic
def schedule_set(*, site: Site | None, slot: str, actor: User, rules: Mapping[str, Any]) -> TrainingSchedule:
    """Write the one schedule of a site and slot; what is left out keeps its value, or its default.

    Raises CodedError `forbidden`, `invalid` with the fields.
    """
    demand(actor, "training.start", site)
    schedule = TrainingSchedule.objects.select_for_update().filter(site=site, slot=slot).first()
    schedule = schedule or TrainingSchedule(site=site, slot=slot, at=time(2, 0))
    for name in FIELDS:
        if name in rules:
            setattr(schedule, name, rules[name])
    schedule.created_by = actor
    _check(schedule)
    schedule.next_at = next_time(schedule, timezone.now())
    schedule.save()
    detail = {"cadence": schedule.cadence, "new_labels": schedule.new_labels, "on_drift": schedule.on_drift}
    detail["enabled"] = schedule.enabled
    record(actor=actor, site=site, action="training_schedule.changed", subject=schedule, detail=detail)
    return schedule


@transaction.atomic
def schedule_delete(*, schedule: TrainingSchedule, actor: User) -> None:
    """Nothing starts by it any more; the runs that it started stay. Raises CodedError `forbidden`."""
    demand(actor, "training.start", schedule.site)
    record(actor=actor, site=schedule.site, action="training_schedule.deleted", subject=schedule)
    schedule.delete()


def schedules_run(now: datetime | None = None) -> int:
    """Start what is due by schedule or new labels; returns how many runs were queued."""
    now = now or timezone.now()
    by_labels = Q(new_labels__isnull=False)
    schedules = TrainingSchedule.objects.filter(Q(next_at__lte=now) | by_labels, enabled=True)
    return sum(_fire(key, now) is not None for key in list(schedules.values_list("pk", flat=True)))


@transaction.atomic
def start_on_drift(*, site: Site, slot: str = Slot.CXR) -> list[TrainingRun]:
    """Start the schedules that ask for it; monitoring calls this for each alarm. At most once a day."""
    schedules = TrainingSchedule.objects.select_for_update().filter(
        Q(site=site) | Q(site=None), slot=slot, enabled=True, on_drift=True
    )
    since = timezone.now() - BETWEEN_ALARMS
    started = []
    for schedule in schedules:
        recent = schedule.training_runs.filter(trigger=Trigger.DRIFT, created_at__gt=since)
        if not (recent.exists() or _unfinished(schedule)) and still_permitted(schedule):
            started.append(_start(schedule, Trigger.DRIFT))
    return started


def next_time(schedule: TrainingSchedule, after: datetime) -> datetime | None:
    """The next scheduled run, in the site's time zone; None without a cadence."""
    if schedule.cadence == Cadence.NEVER:
        return None
    zone = ZoneInfo(schedule.site.timezone if schedule.site else "UTC")
    today = after.astimezone(zone).date()
    for days in range(LOOK_AHEAD_DAYS):
        day = today + timedelta(days)
        due = datetime.combine(day, schedule.at, tzinfo=zone)
        fits = {
            Cadence.DAILY: True,
            Cadence.WEEKLY: day.weekday() == schedule.weekday,
            Cadence.MONTHLY: day.day == schedule.day,
        }
        if fits[Cadence(schedule.cadence)] and due > after:
            return due.astimezone(UTC)
    raise AssertionError("every month has such a day")


@transaction.atomic
def _fire(key: Any, now: datetime) -> TrainingRun | None:
    schedule = TrainingSchedule.objects.select_for_update(of=("self",)).select_related("site", "created_by")
    schedule = schedule.filter(pk=key, enabled=True).first()
    if schedule is None:
        return None
    due = schedule.next_at is not None and schedule.next_at <= now
    if due:
        schedule.next_at = next_time(schedule, now)
        schedule.save(update_fields=["next_at"])
    # A queued run will include the new labels.
    if _unfinished(schedule) or not (due or _enough_labels(schedule)) or not still_permitted(schedule):
        return None
    return _start(schedule, Trigger.SCHEDULE if due else Trigger.LABELS)


def still_permitted(schedule: TrainingSchedule) -> bool:
    """A schedule starts nothing in the name of somebody who may not start it any more."""
    return can(schedule.created_by, "training.start", schedule.site)


def _start(schedule: TrainingSchedule, trigger: str) -> TrainingRun:
    return training_start(
        site=schedule.site, actor=schedule.created_by, config=schedule.config, slot=schedule.slot,
        start=schedule.start, trigger=trigger, schedule=schedule,
    )  # fmt: skip


def _unfinished(schedule: TrainingSchedule) -> bool:
    return schedule.training_runs.filter(status__in=UNFINISHED).exists()


def _enough_labels(schedule: TrainingSchedule) -> bool:
    if not schedule.new_labels:
        return False
    latest = schedule.training_runs.order_by("-created_at").values_list("created_at", flat=True).first()
    labels = Label.objects.filter(scan__slot=schedule.slot, created_at__gt=latest or schedule.created_at)
    if schedule.site:
        labels = labels.filter(site=schedule.site)
    return labels.order_by().values("scan").distinct().count() >= schedule.new_labels


def _check(schedule: TrainingSchedule) -> None:
    wrong: dict[str, list[str]] = {}
    if schedule.slot not in set(Slot):
        wrong["slot"] = [f"One of {', '.join(Slot)} is needed."]
    for name, choices in (("cadence", Cadence.values), ("start", Start.values)):
        if getattr(schedule, name) not in choices:
            wrong[name] = [f"One of {', '.join(choices)} is needed."]
    for name, low, high in (("weekday", 0, 6), ("day", 1, 28), ("new_labels", 1, 1_000_000)):
        value = getattr(schedule, name)
        optional = name == "new_labels" and value is None
        if not (optional or (isinstance(value, int) and low <= value <= high)):
            wrong[name] = [f"Must be a whole number from {low} to {high:,}."]
    if not isinstance(schedule.at, time):
        wrong["at"] = ["Must be a time of day, such as 02:00."]
    if wrong := wrong | options_wrong(schedule.config):
        raise CodedError("invalid", fields=wrong)
