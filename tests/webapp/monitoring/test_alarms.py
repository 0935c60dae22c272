"""An alarm is opened once, processed for by people, and its trail is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import Error, transaction
from django.utils import timezone

from tests import factories
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import Alarm, AlarmEvent, Baseline, MonitoringRun
from webapp.monitoring.selectors import (
    alarm_or_404,
    alarms_visible,
    baseline_start,
    charts,
    current_run,
    open_alarms,
    recipients,
)
from webapp.monitoring.services import (
    RunState,
    alarm_acknowledge,
    alarm_close,
    alarm_comment,
    alarms_retire,
    run_next,
    run_store,
)
from webapp.monitoring.streams import cases
from webapp.monitoring.texts import sentence

pytestmark = pytest.mark.django_db


def trail(alarm: Alarm) -> list[tuple[str, str, str]]:
    return [(e.action, e.by.username if e.by else "", e.comment) for e in alarm.history.select_related("by")]


def again(alarm: Alarm) -> RunState:
    run = alarm.run
    latest = cases(alarm.site, alarm.model_version, Signal.PIXELS, after=None, most=100)[-1]
    return RunState(10, latest, 300.0, 300.0, run.points, run.by_score, alarm.since, alarm.detail)


def test_an_alarm_states_what_has_changed_since_when_and_leaves_a_trace(alarm, site, version):
    assert (alarm.site, alarm.model_version, alarm.kind, alarm.status) == (site, version, "pixels", "open")
    assert sentence(alarm) == (
        f"Pixel drift detected since 2026-11-01 06:30 CET with model {version}. "
        "The mean brightness rose from 41.0 % at baseline to 62.0 % now; 7 images since then."
    )
    assert trail(alarm) == [("opened", "", "")]
    event = AuditEvent.objects.get(action="alarm.opened")
    assert (event.site, event.detail, event.actor) == (site, {"kind": "pixels"}, None)


def test_a_round_opens_one_alarm_however_often_it_is_looked_at(alarm):
    assert run_store(run=alarm.run, state=again(alarm)) is None
    assert Alarm.objects.count() == 1


def test_while_an_alarm_is_not_closed_no_other_of_its_kind_is_opened(alarm, admin):
    alarm_acknowledge(alarm=alarm, actor=admin)
    later = run_next(run=alarm.run)
    assert run_store(run=later, state=again(alarm)) is None
    alarm_close(alarm=alarm, actor=admin, outcome="passed", comment="The tube was replaced.")
    assert run_store(run=later, state=again(alarm)) is not None


def test_an_admin_acknowledges_comments_and_closes_and_all_of_it_is_kept(alarm, admin):
    alarm_acknowledge(alarm=alarm, actor=admin, comment="I ask radiology.")
    alarm_comment(alarm=alarm, actor=admin, comment="New detector in room 2.")
    alarm_close(alarm=alarm, actor=admin, outcome="passed", comment="Set back.")
    assert trail(alarm) == [
        ("opened", "", ""),
        ("acknowledged", "ada", "I ask radiology."),
        ("commented", "ada", "New detector in room 2."),
        ("closed", "ada", "Set back."),
    ]
    reported = AuditEvent.objects.filter(action__startswith="alarm.").order_by("created_at")
    assert [e.action for e in reported] == [
        "alarm.opened",
        "alarm.acknowledged",
        "alarm.commented",
        "alarm.closed",
    ]
    assert not any("radiology" in str(e.detail) for e in reported)
    assert reported.last().detail == {"kind": "pixels", "outcome": "passed"}


def test_the_database_keeps_the_trail(alarm):
    event = AlarmEvent.objects.get()
    for act in (lambda: AlarmEvent.objects.update(comment="x"), event.delete):
        with pytest.raises(Error, match="history of an alarm"), transaction.atomic():
            act()


def test_who_does_not_result_for_alarms_changes_nothing(alarm, owner, outsider):
    for who in (owner, outsider):
        for act in (
            lambda who=who: alarm_acknowledge(alarm=alarm, actor=who),
            lambda who=who: alarm_comment(alarm=alarm, actor=who, comment="x"),
            lambda who=who: alarm_close(alarm=alarm, actor=who, outcome="passed", comment="x"),
        ):
            with pytest.raises(CodedError, match="forbidden"):
                act()
    alarm.refresh_from_db()
    assert (alarm.status, len(trail(alarm))) == ("open", 1)


def test_owner_and_teammate_see_it_and_an_outsider_does_not(alarm, owner, teammate, outsider):
    assert alarm_or_404(owner, alarm.pk) == alarm_or_404(teammate, alarm.pk) == alarm
    assert not alarms_visible(outsider).exists()
    with pytest.raises(CodedError, match="not_found"):
        alarm_or_404(outsider, alarm.pk)


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda a, who: alarm_comment(alarm=a, actor=who, comment=" "), "invalid"),
        (lambda a, who: alarm_comment(alarm=a, actor=who, comment="x" * 1001), "invalid"),
        (lambda a, who: alarm_close(alarm=a, actor=who, outcome="", comment="x"), "invalid"),
        (lambda a, who: alarm_close(alarm=a, actor=who, outcome="retired", comment="x"), "invalid"),
        (lambda a, who: alarm_close(alarm=a, actor=who, outcome="passed", comment=" "), "reason_missing"),
    ],
)
def test_what_is_not_stated_properly_is_refused(alarm, admin, act, code):
    with pytest.raises(CodedError, match=code):
        act(alarm, admin)
    assert len(trail(alarm)) == 1


def test_what_is_closed_stays_closed(alarm, admin):
    alarm_close(alarm=alarm, actor=admin, outcome="passed", comment="x")
    for act in (
        lambda: alarm_acknowledge(alarm=alarm, actor=admin),
        lambda: alarm_close(alarm=alarm, actor=admin, outcome="passed", comment="y"),
    ):
        with pytest.raises(CodedError, match="conflict"):
            act()


def test_after_a_change_that_passed_the_same_reference_is_held_against_what_comes(
    alarm, admin, site, version
):
    alarm_close(alarm=alarm, actor=admin, outcome="passed", comment="x")
    run = current_run(site, version, Signal.PIXELS)
    assert (run.number, run.baseline_id) == (2, alarm.run.baseline_id)
    assert timezone.now() - run.after < timedelta(minutes=1)


def test_a_change_that_is_accepted_begins_the_next_reference(alarm, admin, site, version):
    alarm_close(alarm=alarm, actor=admin, outcome="accepted", comment="We have a new scanner.")
    assert current_run(site, version, Signal.PIXELS) is None
    assert baseline_start(site, version, Signal.PIXELS).at == alarm.since
    stream = cases(site, version, Signal.PIXELS, after=baseline_start(site, version, Signal.PIXELS), most=100)
    assert (len(stream), stream[0].at) == (7, alarm.since)
    assert Baseline.objects.get().ended_at
    assert MonitoringRun.objects.get().ended_at


def test_alarms_of_a_version_that_is_retired_are_closed_by_the_system(alarm, version):
    assert alarms_retire() == 0
    factories.make_active(factories.ModelVersionFactory(slot=version.slot, status="candidate"))
    assert alarms_retire() == 1
    alarm.refresh_from_db()
    assert alarm.status == "closed"
    assert [(e.action, e.by, e.outcome) for e in alarm.history.all()][-1] == ("closed", None, "retired")


def test_training_rules_can_ask_for_what_is_open(alarm, admin, site, other_site):
    assert list(open_alarms(site)) == [alarm] == list(open_alarms())
    assert not open_alarms(other_site)
    alarm_acknowledge(alarm=alarm, actor=admin)
    assert list(open_alarms(site)) == [alarm]
    alarm_close(alarm=alarm, actor=admin, outcome="passed", comment="x")
    assert not open_alarms(site)


def test_mail_goes_to_those_who_result_for_the_site(site, other_site, person):
    person("ada", role="admin", site=site, email="ada@example.org")
    person("bob", role="admin", site=site)
    person("cleo", role="clinician", site=site, email="cleo@example.org")
    person("dan", role="admin", site=other_site, email="dan@example.org")
    assert recipients(site) == ["ada@example.org"]


def test_charts_state_what_they_lack(alarm, site, version, settings, django_assert_max_num_queries):
    settings.HILUM_DRIFT_BASELINE = 100
    factories.finished_analyses(site, version, 5, seed=1)
    with django_assert_max_num_queries(20):
        found = {chart.kind: chart for chart in charts(site, version)}
    assert (found[Signal.PIXELS].alarm, found[Signal.PIXELS].missing) == (alarm, 0)
    assert (found[Signal.FEATURES].run, found[Signal.FEATURES].missing) == (None, 55)
    assert (found[Signal.REFUSALS].version, found[Signal.REFUSALS].alarm) == (None, None)
    assert found[Signal.PERFORMANCE].missing == 100
