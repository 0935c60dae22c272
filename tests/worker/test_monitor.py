"""The monitor begins references, watches streams, opens alarms and sums up; done twice, it is done once."""

from __future__ import annotations

import smtplib
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.core import mail

from classifier.drift import martingale
from tests import factories
from webapp.labels.models import Label
from webapp.monitoring import services
from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import (
    Alarm,
    Baseline,
    MonitoringRun,
    MonitoringSummary,
    Observation,
    ReaderFeedback,
)
from webapp.monitoring.selectors import charts, current_run
from webapp.scans.models import Upload
from webapp.training.models import TrainingRun
from webapp.training.schedules import schedule_set
from worker.jobs.infer import InferJob
from worker.jobs.mail.alarms import send_alarms
from worker.jobs.monitor import MonitorJob, look_at, watch
from worker.jobs.monitor_summary import summarise

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def small(settings, monkeypatch):
    """A small reference, unmerged alike each time: by a random id, a change seems earlier now and then."""
    settings.HILUM_DRIFT_BASELINE = 100
    fit = martingale.fit_baseline
    monkeypatch.setattr(martingale, "fit_baseline", lambda sample, names, seed: fit(sample, names, seed=0))


@pytest.fixture
def version(db):
    return factories.ModelVersionFactory()


def later(count: int) -> datetime:
    return START + count * timedelta(minutes=10)


def test_the_first_cases_are_the_reference_and_what_follows_is_watched(site, version):
    factories.finished_analyses(site, version, 99)
    watch(site, version, Signal.PIXELS)
    assert not Baseline.objects.exists()
    factories.finished_analyses(site, version, 41, seed=1, at=later(99))
    watch(site, version, Signal.PIXELS)
    baseline, run = Baseline.objects.get(), MonitoringRun.objects.get()
    assert (baseline.cases, baseline.since, baseline.until) == (100, START, later(99))
    assert (run.number, run.cases, run.latest) == (1, 40, later(139))
    assert 0 < run.martingale <= run.max_martingale < 100
    assert len(run.points) == 40
    assert set(run.by_score) >= {"distance", "brightness", "grain"}
    assert not Alarm.objects.exists()


def test_looking_again_changes_nothing_and_later_cases_go_on_with_the_round(site, version):
    factories.finished_analyses(site, version, 140)
    watch(site, version, Signal.FEATURES)
    before = MonitoringRun.objects.values().get()
    watch(site, version, Signal.FEATURES)
    assert MonitoringRun.objects.values().get() == before
    factories.finished_analyses(site, version, 10, seed=1, at=later(140))
    watch(site, version, Signal.FEATURES)
    run = MonitoringRun.objects.get()
    assert (run.cases, run.number) == (50, 1)
    assert run.points[0] == before["points"][0]


def test_a_change_raises_one_alarm_that_states_what_and_since_when(site, version):
    factories.finished_analyses(site, version, 160)
    factories.finished_analyses(site, version, 40, seed=1, shift=2.5, at=later(160))
    for _ in range(2):
        watch(site, version, Signal.PIXELS)
    alarm = Alarm.objects.get()
    assert abs(alarm.since - later(160)) < timedelta(minutes=60)
    assert alarm.detail["is"] > alarm.detail["was"] + 1
    assert 35 <= alarm.detail["cases"] <= 45
    assert (alarm.kind, alarm.model_version, alarm.run) == ("pixels", version, MonitoringRun.objects.get())


def test_an_alarm_starts_the_training_that_a_plan_wants_on_drift(site, version, person):
    admin = person("ada", role="admin", site=site)
    schedule_set(site=site, slot=version.slot, actor=admin, rules={"on_drift": True})
    factories.finished_analyses(site, version, 160)
    factories.finished_analyses(site, version, 40, seed=1, shift=2.5, at=later(160))
    for _ in range(2):
        watch(site, version, Signal.PIXELS)
    run = TrainingRun.objects.get()
    assert (run.trigger, run.site, run.status) == ("drift", site, "queued")


def test_a_round_that_is_full_is_followed_by_another(site, version, monkeypatch):
    monkeypatch.setattr("classifier.drift.martingale.ROUND", 30)
    factories.finished_analyses(site, version, 175)
    watch(site, version, Signal.PIXELS)
    runs = MonitoringRun.objects.order_by("number")
    assert [(r.number, r.cases, r.ended_at is None) for r in runs] == [
        (1, 30, False),
        (2, 30, False),
        (3, 15, True),
    ]


def test_after_a_change_was_accepted_the_new_cases_become_the_reference(site, version, person):
    ada = person("ada", role="admin", site=site)
    factories.finished_analyses(site, version, 150)
    factories.finished_analyses(site, version, 130, seed=1, shift=2.5, at=later(150))
    watch(site, version, Signal.PIXELS)
    services.alarm_close(alarm=Alarm.objects.get(), actor=ada, outcome="accepted", comment="New scanner.")
    watch(site, version, Signal.PIXELS)
    run = current_run(site, version, Signal.PIXELS)
    assert abs(run.baseline.since - later(150)) < timedelta(hours=1)
    assert run.cases > 20
    assert Alarm.objects.count() == 1
    assert run.martingale < 100


@pytest.mark.parametrize("kind", [Signal.PREDICTIONS, Signal.ABSTENTIONS])
def test_what_the_model_results_is_watched_too(site, version, kind):
    factories.finished_analyses(site, version, 150, withheld=0.02)
    changed = factories.finished_analyses(site, version, 100, seed=1, withheld=0.7, at=later(150))
    for analysis in changed:
        analysis.probabilities = {"covid19": 0.9, "pneumonia": 0.05, "normal": 0.05}
    type(changed[0]).objects.bulk_update(changed, ["probabilities"])
    watch(site, version, kind)
    alarm = Alarm.objects.get()
    assert alarm.kind == kind
    assert abs(alarm.since - later(150)) < timedelta(hours=2)


def test_refused_files_are_watched_without_a_model(site):
    def files(count: int, first: int, share: float):
        rng = np.random.default_rng(first)
        for index in range(count):
            refused = rng.random() < share
            status = Upload.Status.REFUSED if refused else Upload.Status.DONE
            reason = "undecodable" if refused else ""
            at = later(first + index)
            factories.UploadFactory(site=site, status=status, refusal=reason, created_at=at)

    files(130, 0, 0.03)
    files(60, 130, 0.8)
    watch(site, None, Signal.REFUSALS)
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.model_version) == ("refusals", None)
    assert alarm.detail["is"] > 0.5 > 0.1 > alarm.detail["was"]


def label(analysis, reader, **findings: str) -> Label:
    return Label.objects.create(
        site=analysis.scan.site,
        scan=analysis.scan,
        reader=reader,
        signed_as="Ada",
        findings=findings,
        created_at=START + timedelta(days=20),
    )


def test_labels_that_come_later_become_verdicts_and_performance(site, version, owner):
    made = factories.finished_analyses(site, version, 60, patients=20)
    for index, analysis in enumerate(made):
        right = analysis.finding if index % 3 else "normal"
        label(analysis, owner, **{f: "present" if f == right else "absent" for f in factories.FINDINGS})
    uncertain = factories.finished_analyses(site, version, 1, seed=4)[0]
    label(uncertain, owner, pneumonia="uncertain")
    MonitorJob().step()
    reader_feedback = ReaderFeedback.objects.filter(source="label")
    assert reader_feedback.count() == 60
    one = reader_feedback.get(analysis=made[1])
    assert one.ground_truth == {f: f == made[1].finding for f in factories.FINDINGS}
    expected = np.mean([(p - (f == made[1].finding)) ** 2 for f, p in made[1].probabilities.items()])
    assert one.loss == pytest.approx(expected)
    assert one.overrides is False
    body = MonitoringSummary.objects.get(site=site).body
    assert body["labelled"] == 60
    found = body["performance"]["pneumonia"]
    assert found["present"] + found["absent"] == 60
    assert 0.6 < found["auc"]["low"] < found["auc"]["value"] <= found["auc"]["high"] <= 1
    assert found["sensitivity"]["of"] == found["present"]


def test_a_label_that_is_corrected_corrects_the_verdict_in_its_place(site, version, owner):
    (analysis,) = factories.finished_analyses(site, version, 1)
    first = label(analysis, owner, **{analysis.finding: "present"})
    MonitorJob().step()
    before = ReaderFeedback.objects.get()
    assert before.overrides is False
    Label.objects.create(
        site=site,
        scan=analysis.scan,
        reader=owner,
        signed_as="Ada",
        findings={analysis.finding: "absent"},
        supersedes=first,
        created_at=START + timedelta(days=21),
    )
    MonitorJob().step()
    after = ReaderFeedback.objects.get()
    assert (after.overrides, after.at) == (True, before.at)


def test_the_infer_worker_keeps_descriptors_of_what_it_results(model, tmp_path):
    from webapp.analysis.services import analyses_queue
    from webapp.core import storage

    scan = factories.ScanFactory(metadata={"Manufacturer": "Acme", "PatientSex": "F", "PatientAge": "030Y"})
    path = storage.path_of(scan.working_name)
    path.parent.mkdir(parents=True, exist_ok=True)
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 60_000, (80, 64), dtype=np.uint16)).save(path)
    analyses_queue([scan])
    InferJob().step()
    seen = Observation.objects.get()
    assert (len(seen.pixels), len(seen.features)) == (20, 24)
    assert (seen.manufacturer, seen.sex, seen.age, seen.site) == ("Acme", "F", "18-39", scan.site)
    assert seen.analysis.status == "done"


def test_results_from_before_are_counted_without_descriptors(site, version):
    old = factories.finished_analyses(site, version, 3)
    Observation.objects.all().delete()
    MonitorJob().step()
    assert Observation.objects.filter(pixels=[], analysis__in=old).count() == 3
    chart = next(c for c in charts(site, version) if c.kind == Signal.PIXELS)
    assert chart.missing == 100


def test_groups_and_weeks_add_up(site, version, settings):
    now = datetime.now(UTC) - timedelta(days=20)
    factories.finished_analyses(site, version, 30, at=now, manufacturer="Acme", withheld=0.5)
    factories.finished_analyses(site, version, 12, at=now + timedelta(days=14), manufacturer="Umbra", seed=2)
    summarise(site, [version])
    body = MonitoringSummary.objects.get().body
    assert body["cases"] == 42
    assert [(g["name"], g["cases"]) for g in body["groups"]["manufacturer"]] == [("Acme", 30), ("Umbra", 12)]
    assert sum(week["cases"] for week in body["weeks"]) == 42
    assert [week["cases"] for week in body["weeks"]][1] == 0
    withheld = body["groups"]["manufacturer"][0]["abstained"]
    assert 0 < withheld["low"] < withheld["value"] < withheld["high"] < 1
    assert body["reasons"] == {"low_confidence": withheld["count"]}


@pytest.fixture
def alarmed(site, version, person):
    person("ada", role="admin", site=site, email="ada@example.org")
    factories.finished_analyses(site, version, 150)
    factories.finished_analyses(site, version, 40, seed=1, shift=2.5, at=later(150))
    watch(site, version, Signal.PIXELS)
    return Alarm.objects.get()


def test_an_alarm_is_mailed_once_and_only_where_mail_is_configured(alarmed, settings):
    settings.HILUM_MAIL = False
    assert (send_alarms(), mail.outbox) == (0, [])
    settings.HILUM_MAIL = True
    assert send_alarms() == 1
    assert send_alarms() == 0
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.org"]
    assert sent.subject == "[Hilum] St Anna: Pixel drift detected"
    assert "Research use, not a medical device." in sent.body
    assert "at baseline" in sent.body


def test_a_mail_server_that_is_down_is_tried_again(alarmed, settings, monkeypatch):
    settings.HILUM_MAIL = True

    def refuse(*args):
        raise smtplib.SMTPServerDisconnected("down")

    with monkeypatch.context() as patch:
        patch.setattr("worker.jobs.mail.alarms.send_mail", refuse)
        assert send_alarms() == 0
    assert send_alarms() == 1


def test_two_workers_at_once_begin_one_reference(site, version, monkeypatch):
    from worker.jobs import monitor

    factories.finished_analyses(site, version, 120)
    monkeypatch.setattr(monitor, "current_run", lambda *of: None)  # the other has not committed yet
    monitor.look_at(site, [version])
    before = set(Baseline.objects.values_list("kind", flat=True))
    monitor.look_at(site, [version])
    assert before == {"pixels", "features", "predictions", "abstentions"}
    assert Baseline.objects.count() == 4


def test_a_chart_that_cannot_be_computed_stops_no_other(site, version, caplog):
    factories.finished_analyses(site, version, 120)
    odd = Observation.objects.order_by("at")[7]
    odd.pixels = odd.pixels[:3]  # as another release might have kept them
    odd.save()
    look_at(site, [version])
    assert "pixels at site st-anna cannot be watched" in caplog.text
    assert set(Baseline.objects.values_list("kind", flat=True)) == {"features", "predictions", "abstentions"}
