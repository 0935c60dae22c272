"""Trainings that start automatically: by the clock of the site, by new labels, by an alarm."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from django.utils import timezone

from tests.factories import LabelFactory, ScanFactory
from webapp.accounts.models import Membership
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.training.models import TrainingRun, TrainingSchedule
from webapp.training.schedules import next_time, schedule_delete, schedule_set, schedules_run, start_on_drift
from webapp.training.selectors import schedule_or_404

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(person, site):
    return person("admin", role="admin", site=site)


@pytest.fixture
def schedule(admin, site):
    def make(*, actor=admin, site=site, **rules) -> TrainingSchedule:
        return schedule_set(site=site, slot="cxr", actor=actor, rules=rules)

    return make


def started() -> list[str]:
    return list(TrainingRun.objects.order_by("created_at").values_list("trigger", flat=True))


def finish_all() -> None:
    TrainingRun.objects.update(status="skipped")


@pytest.mark.parametrize(
    ("rules", "after", "expected"),
    [
        # Berlin: UTC+1 in winter, UTC+2 in summer.
        ({"cadence": "daily"}, "2026-11-26T00:59", "2026-11-26T01:00"),
        ({"cadence": "daily"}, "2026-11-26T01:00", "2026-11-27T01:00"),
        ({"cadence": "daily"}, "2026-07-01T12:00", "2026-07-02T00:00"),
        ({"cadence": "weekly", "weekday": 6}, "2026-11-26T12:00", "2026-11-29T01:00"),
        ({"cadence": "monthly", "day": 28}, "2026-11-28T12:00", "2026-12-28T01:00"),
    ],
)
def test_the_clock_is_that_of_the_site(site, rules, after, expected):
    made = TrainingSchedule(site=site, at=time(2, 0), **rules)
    instant = lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC)  # noqa: E731
    assert next_time(made, instant(after)) == instant(expected)


def test_a_plan_without_a_clock_never_strikes(schedule):
    assert schedule(cadence="never").next_at is None


def test_what_is_due_starts_once_and_the_plan_moves_on(schedule):
    made = schedule(cadence="daily", start="scratch", config={"epochs": 2})
    assert schedules_run() == 0
    later = made.next_at + timedelta(seconds=1)
    assert schedules_run(later) == 1
    assert schedules_run(later) == 0
    run = TrainingRun.objects.get()
    assert (run.trigger, run.schedule, run.start, run.config) == ("schedule", made, "scratch", {"epochs": 2})
    assert run.snapshot is None, "its worker creates a snapshot of what is labelled then"
    made.refresh_from_db()
    assert made.next_at > later


def test_while_a_run_waits_no_other_is_queued_and_one_that_is_off_starts_nothing(schedule):
    made = schedule(cadence="daily")
    for days in range(3):
        schedules_run(made.next_at + timedelta(days=days, seconds=1))
    assert started() == ["schedule"]
    finish_all()
    schedule(enabled=False)
    assert schedules_run(timezone.now() + timedelta(days=40)) == 0


def test_so_many_new_labels_start_a_run_and_the_same_ones_none_again(schedule, site):
    schedule(new_labels=3)
    scans = [ScanFactory(site=site) for _ in range(3)]
    for scan in scans[:2]:
        LabelFactory(scan=scan)
        LabelFactory(scan=scan)
    assert schedules_run() == 0
    LabelFactory(scan=scans[2])
    LabelFactory(scan=ScanFactory())  # at another site
    assert schedules_run() == 1
    finish_all()
    assert schedules_run() == 0
    assert started() == ["labels"]


def test_an_alarm_starts_the_plans_that_ask_for_it_once_a_day(schedule, site, other_site):
    schedule(cadence="daily")
    assert start_on_drift(site=site) == []
    schedule(on_drift=True)
    assert start_on_drift(site=other_site) == []
    [run] = start_on_drift(site=site)
    assert run.trigger == "drift"
    finish_all()
    assert start_on_drift(site=site) == []
    TrainingRun.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert len(start_on_drift(site=site)) == 1


def test_nothing_starts_in_the_name_of_who_may_not_start_it_any_more(schedule, admin):
    made = schedule(cadence="daily")
    Membership.objects.filter(user=admin).delete()
    assert schedules_run(made.next_at + timedelta(seconds=1)) == 0


def test_only_who_may_train_writes_a_plan_within_its_bounds_and_leaves_a_trace(
    schedule, owner, person, other_site
):
    for user in (owner, person("far", role="admin", site=other_site)):
        with pytest.raises(CodedError) as caught:
            schedule(actor=user)
        assert caught.value.code == "forbidden"
    with pytest.raises(CodedError) as caught:
        schedule(cadence="hourly", weekday=7, day=31, new_labels=0, at="02:00", start="nowhere")
    assert set(caught.value.fields) == {"cadence", "weekday", "day", "new_labels", "at", "start"}
    assert not TrainingSchedule.objects.exists()
    for strange in ({"a": ["\x84"]}, {"arch": "é"}, {"--arch": "x"}, {"seed": -1}, {"seed": True}):
        with pytest.raises(CodedError) as caught:
            schedule(config=strange)
        assert list(caught.value.fields) == list(strange), "no training could be started with it"
    schedule(cadence="daily")
    schedule(new_labels=5)
    kept = TrainingSchedule.objects.get()
    assert (kept.cadence, kept.new_labels) == ("daily", 5), "what is left out keeps its value"
    assert AuditEvent.objects.filter(action="training_schedule.changed").count() == 2


def test_a_deleted_plan_leaves_its_runs(schedule, admin, owner, outsider):
    made = schedule(cadence="daily")
    schedules_run(made.next_at + timedelta(seconds=1))
    assert schedule_or_404(owner, made.pk) == made
    with pytest.raises(CodedError, match="not_found"):
        schedule_or_404(outsider, made.pk)
    with pytest.raises(CodedError, match="forbidden"):
        schedule_delete(schedule=made, actor=owner)
    schedule_delete(schedule=made, actor=admin)
    assert started() == ["schedule"]
    assert AuditEvent.objects.filter(action="training_schedule.deleted").exists()
