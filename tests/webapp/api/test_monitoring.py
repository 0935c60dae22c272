"""What is watched, reported to programs."""

from __future__ import annotations

import pytest

from classifier.drift import martingale
from tests import factories
from webapp.api.views.monitoring import FALSE_ALARMS
from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import Alarm, Observation
from webapp.monitoring.services import baseline_begin, summary_store
from webapp.monitoring.streams import cases

pytestmark = pytest.mark.django_db
ALL = ("model.view", "alarm.manage")


@pytest.fixture
def version(db):
    return factories.ModelVersionFactory()


@pytest.fixture
def ada(person, client_of, site):
    return client_of(person("ada", role="admin", site=site), site, ALL)


@pytest.fixture
def watched(site, version):
    factories.finished_analyses(site, version, 30)
    stream = cases(site, version, Signal.PIXELS, after=None, most=20)
    run = baseline_begin(site=site, version=version, kind=Signal.PIXELS, cases=stream, data={})
    run.points, run.cases = [["2026-11-01T02:00:00+00:00", 0.25]], 10
    run.save()
    summary_store(site=site, version=version, body={"cases": 30})
    return Alarm.objects.create(
        site=site, model_version=version, kind=Signal.PIXELS, run=run, since=stream[-1].at
    )


def test_the_stated_rate_is_the_statistics_own():
    assert FALSE_ALARMS == martingale.FALSE_ALARMS


def test_the_summary_reports_how_every_chart_stands(ada, site, version, watched, settings):
    response = ada.get("/api/v1/monitoring/").json()
    assert (response["site"], response["open_alarms"]) == (str(site.pk), 1)
    (reported,) = response["models"]
    assert (reported["name"], reported["counts"]) == (str(version), {"cases": 30})
    charts = {chart["kind"]: chart for chart in reported["charts"]}
    assert set(charts) == {kind.value for kind in Signal}
    assert charts["pixels"] == {
        "kind": "pixels",
        "missing": 0,
        "baseline": 20,
        "run": 1,
        "cases": 10,
        "martingale": 1.0,
        "alarm": str(watched.pk),
    }
    assert charts["features"]["missing"] == settings.HILUM_DRIFT_BASELINE - 30


def test_the_course_of_a_chart(ada, version, watched):
    (reported,) = ada.get(f"/api/v1/models/{version.pk}/monitoring/?kind=pixels").json()["results"]
    assert (reported["kind"], reported["run"], reported["cases"]) == ("pixels", 1, 10)
    assert reported["points"] == [{"at": "2026-11-01T02:00:00+00:00", "log10_martingale": 0.25}]
    assert ada.get(f"/api/v1/models/{version.pk}/monitoring/?kind=refusals").json()["results"] == []
    unknown = ada.get(f"/api/v1/models/{version.pk}/monitoring/?kind=pixel")
    assert (unknown.status_code, list(unknown.json()["errors"])) == (400, ["kind"])


def test_an_alarm_is_acknowledged_commented_and_closed(ada, watched):
    address = f"/api/v1/alarms/{watched.pk}/"
    for act, body in (
        ("acknowledge", {}),
        ("comment", {"comment": "New detector."}),
        ("close", {"outcome": "accepted", "comment": "We keep it."}),
    ):
        response = ada.post(f"{address}{act}/", body, "json")
        assert response.status_code == 200, response.content
    reported = ada.get(address).json()
    assert (reported["status"], reported["closed_at"] is not None) == ("closed", True)
    assert [(e["action"], e["by"], e["comment"]) for e in reported["history"]] == [
        ("acknowledged", "ada", ""),
        ("commented", "ada", "New detector."),
        ("closed", "ada", "We keep it."),
    ]
    again = ada.post(f"{address}close/", {"outcome": "passed", "comment": "x"}, "json")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize("body", [{}, {"comment": ""}, {"comment": " \n"}])
def test_a_comment_states_something(ada, watched, body):
    response = ada.post(f"/api/v1/alarms/{watched.pk}/comment/", body, "json")
    assert (response.status_code, list(response.json()["errors"])) == (400, ["comment"])
    assert not watched.history.exists()


def test_alarms_are_listed_by_state_and_kind_in_so_many_queries(
    ada, site, watched, django_assert_max_num_queries
):
    for index in range(12):
        version = factories.ModelVersionFactory(status="retired")
        Alarm.objects.create(site=site, model_version=version, kind="features", since=watched.since)
        assert index < 12
    with django_assert_max_num_queries(9):
        assert len(ada.get("/api/v1/alarms/").json()["results"]) == 13
    assert len(ada.get("/api/v1/alarms/?kind=pixels&status=open").json()["results"]) == 1
    assert ada.get("/api/v1/alarms/?status=closed").json()["results"] == []


def test_the_summary_costs_the_same_however_many_results_there_are(
    ada, site, version, watched, django_assert_num_queries
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    ada.get("/api/v1/monitoring/")  # a token's first use is written down
    with CaptureQueriesContext(connection) as before:
        ada.get("/api/v1/monitoring/")
    factories.finished_analyses(site, version, 300, seed=3)
    assert Observation.objects.count() == 330
    with django_assert_num_queries(len(before)):
        ada.get("/api/v1/monitoring/")


def test_an_outsider_sees_none_of_it(person, client_of, other_site, watched):
    outsider = client_of(person("eve", role="admin", site=other_site), other_site, ALL)
    assert outsider.get("/api/v1/alarms/").json()["results"] == []
    assert outsider.get(f"/api/v1/alarms/{watched.pk}/").status_code == 404
    assert outsider.post(f"/api/v1/alarms/{watched.pk}/acknowledge/", {}, "json").status_code == 404
    response = outsider.get("/api/v1/monitoring/").json()
    assert (response["open_alarms"], response["models"][0]["counts"]) == (0, {})
    assert all(chart["alarm"] is None for chart in response["models"][0]["charts"])
