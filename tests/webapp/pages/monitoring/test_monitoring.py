"""The monitoring page: what is wrong, since when, where; and what people do about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests import factories
from webapp.monitoring.intervals import rate
from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import Alarm, AlarmStatus
from webapp.monitoring.services import RunState, baseline_begin, run_store, summary_store
from webapp.monitoring.streams import cases
from webapp.pages.monitoring import sparklines
from webapp.pages.monitoring.context import auc_text, rate_text
from worker.jobs.monitor_summary import summarise

pytestmark = pytest.mark.django_db
PAGE = "/monitoring/"


@pytest.fixture
def version(db):
    return factories.ModelVersionFactory()


@pytest.fixture
def ada(person, site, browser):
    return browser(person("ada", role="admin", site=site))


def text(finished_analysis) -> str:
    return " ".join(finished_analysis.content.decode().split())


def alarm_at(site, version, *, raised: bool = True) -> Alarm | None:
    factories.finished_analyses(site, version, 40)
    stream = cases(site, version, Signal.PIXELS, after=None, most=100)
    run = baseline_begin(site=site, version=version, kind=Signal.PIXELS, cases=stream[:30], data={})
    points = [[case.at.isoformat(), 0.1 * k] for k, case in enumerate(stream[30:])]
    detail = {"score": "brightness", "was": 0.41, "is": 0.62, "cases": 7, "martingale": 120.0}
    since = {"since": stream[33].at, "detail": detail} if raised else {}
    return run_store(run=run, state=RunState(10, stream[-1], 250, 250, points, {}, **since))


def test_without_a_model_there_is_nothing_to_watch(browser, owner):
    assert "No active model" in text(browser(owner).get(PAGE))


def test_too_few_cases_are_stated_with_how_many_are_missing(browser, owner, site, version, settings):
    settings.HILUM_DRIFT_BASELINE = 500
    factories.finished_analyses(site, version, 20)
    shown = text(browser(owner).get(PAGE))
    assert "Collecting baseline (20 of 500)" in shown
    assert "Collecting baseline (20 of 500 images)." in shown


def test_when_all_is_well_it_states_so(browser, owner, site, version):
    alarm_at(site, version, raised=False)
    shown = text(browser(owner).get(PAGE))
    assert "<h2>No change detected</h2>" in shown
    assert "No change detected in 10 images." in shown
    assert "<polyline" in shown


def test_the_top_bar_counts_open_alarms_for_those_who_may_manage_them(ada, browser, owner, site, version):
    alarm = alarm_at(site, version)
    assert '<span class="badge">1<' in text(ada.get("/"))
    assert 'class="badge"' not in text(browser(owner).get("/"))
    Alarm.objects.filter(pk=alarm.pk).update(status=AlarmStatus.ACKNOWLEDGED)
    assert 'class="badge"' not in text(ada.get("/"))


def test_an_alarm_comes_first_with_what_since_when_and_how_much(browser, owner, site, version):
    alarm = alarm_at(site, version)
    shown = text(browser(owner).get(PAGE))
    assert shown.index("Pixel drift detected") < shown.index("Monitored signals")
    assert "The mean brightness rose from 41.0 % at baseline to 62.0 % now" in shown
    assert 'datetime="2026-11-01T06:30:00+01:00"' in shown
    assert "not acknowledged" in shown
    assert f"/monitoring/alarms/{alarm.pk}/" in shown


def test_an_admin_acknowledges_and_closes_and_the_page_reports_who_did(ada, site, version):
    alarm = alarm_at(site, version)
    address = f"/monitoring/alarms/{alarm.pk}/"
    assert ada.post(f"{address}acknowledge/", {"comment": "I look."}).status_code == 302
    ada.post(f"{address}comment/", {"comment": "New <b>tube</b>."})
    shown = text(ada.get(address))
    assert "acknowledged by ada" in shown
    assert "New &lt;b&gt;tube&lt;/b&gt;." in shown
    assert "not acknowledged" not in text(ada.get(PAGE))
    refused = ada.post(f"{address}close/", {"outcome": "passed", "comment": ""}, follow=True)
    assert "A reason is required." in text(refused)
    ada.post(f"{address}close/", {"outcome": "accepted", "comment": "We keep it."})
    assert "change accepted" in text(ada.get(address))
    assert "Acknowledge</button>" not in text(ada.get(address))


@pytest.mark.parametrize("act", ["acknowledge", "comment", "close"])
def test_a_clinician_reads_and_an_outsider_finds_nothing(
    browser, owner, teammate, outsider, site, version, act
):
    alarm = alarm_at(site, version)
    address = f"/monitoring/alarms/{alarm.pk}/"
    for who in (owner, teammate):
        shown = browser(who).get(address)
        assert shown.status_code == 200
        assert "<form" not in text(shown).split("<main")[1]
        stated = {"outcome": "passed", "comment": "x"}
        assert browser(who).post(f"{address}{act}/", stated).status_code == 403
    assert browser(outsider).get(address).status_code == 404
    assert browser(outsider).post(f"{address}{act}/", {"comment": "x"}).status_code == 404
    assert "Pixel drift detected" not in text(browser(outsider).get(PAGE))
    alarm.refresh_from_db()
    assert alarm.status == "open"


def test_small_groups_are_stated_to_be_small(browser, owner, site, version):
    now = datetime.now(UTC) - timedelta(days=9)
    factories.finished_analyses(site, version, 40, at=now, manufacturer="Acme", withheld=0.5)
    factories.finished_analyses(site, version, 3, at=now, manufacturer="Rare & Old", seed=1)
    summarise(site, [version])
    shown = text(browser(owner).get(PAGE))
    rare = shown.split("Rare &amp; Old")[1].split("</tr>")[0]
    assert "too few results" in rare
    assert "%" not in rare
    assert "%" in shown.split("Acme")[1].split("</tr>")[0]
    assert "low_confidence" in shown


def test_sites_are_compared_for_who_may_see_several(person, browser, site, other_site, version):
    from webapp.accounts.models import Role
    from webapp.accounts.services import membership_set

    both = person("both", role="admin", site=site)
    membership_set(user=both, site=other_site, role=Role.objects.get(name="admin"))
    for one in (site, other_site):
        factories.finished_analyses(one, version, 25, at=datetime.now(UTC) - timedelta(days=3))
        summarise(one, [version])
    assert "By site" in text(browser(both).get(PAGE))
    only = person("only", role="admin", site=site)
    shown = text(browser(only).get(PAGE))
    assert "By site" not in shown
    assert "Harbour" not in shown


def test_it_costs_the_same_however_much_was_processed(
    browser, owner, site, version, django_assert_num_queries
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = browser(owner)
    factories.finished_analyses(site, version, 30, at=datetime.now(UTC) - timedelta(days=3))
    summarise(site, [version])
    client.get(PAGE)
    with CaptureQueriesContext(connection) as before:
        client.get(PAGE)
    factories.finished_analyses(site, version, 600, at=datetime.now(UTC) - timedelta(days=9), seed=2)
    summarise(site, [version])
    with django_assert_num_queries(len(before)):
        client.get(PAGE)
    assert len(before) < 34


def test_numbers_in_words():
    assert rate_text(rate(15, 148)) == "10.1 % (6.2–16.0) of 148"
    assert rate_text(rate(0, 0)) == "–"
    few = {"auc": None, "present": 3, "absent": 40}
    assert auc_text(few) == "too few labels (3 present, 40 absent)"
    assert auc_text({"auc": {"value": 0.9, "low": 0.85, "high": 0.93}}) == "0.90 (0.85–0.93)"


def test_gaps_stay_gaps_in_a_drawing():
    reported = [rate(1, 10), rate(2, 10), None, rate(0, 0), rate(5, 10), None]
    drawn = sparklines.intervals(reported)
    assert (len(drawn.lines), len(drawn.dots), len(drawn.bands)) == (1, 3, 1)
    assert drawn.dots[0][1] > drawn.dots[2][1]
    assert sparklines.intervals([]).lines == []


def test_evidence_stays_inside_its_drawing():
    drawn = sparklines.drift_score([["a", -9.0], ["b", 0.0], ["c", 300.0]])
    heights = [float(point.split(",")[1]) for point in drawn.lines[0].split()]
    assert heights[0] > heights[1] > drawn.limit > heights[2] == sparklines.MARGIN


def test_summary_body_of_an_empty_site_is_shown(browser, owner, site, version):
    summarise(site, [version])
    assert "No labels yet for images" in text(browser(owner).get(PAGE))
    summary_store(site=site, version=version, body={**_body(site), "weeks": []})
    assert browser(owner).get(PAGE).status_code == 200


def _body(site):
    from webapp.monitoring.models import MonitoringSummary

    return MonitoringSummary.objects.get(site=site).body
