"""Queues, alarms, uploads and analyses for Prometheus: counts and ages, no patient data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from webapp.analysis.models import Analysis
from webapp.backup.selectors import State, backup_state, last_success
from webapp.core.jobs.queues import Queue
from webapp.core.jobs.table import job_tables
from webapp.core.models import FileProblem
from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import Alarm, AlarmStatus, MonitoringRun
from webapp.monitoring.operations import samples as operations
from webapp.registry.models import ServingEngine
from webapp.scans.models import Upload

Sample = tuple[Mapping[str, str], float]


def exposition() -> bytes:
    """Every metric in Prometheus' text format, read from the database now."""
    registry = CollectorRegistry()
    registry.register(_Database())
    return generate_latest(registry)


class _Database(Collector):
    def collect(self) -> Iterable[Metric]:
        for name, documentation, samples in (
            ("hilum_alarms", "Alarms that are not closed.", _alarms()),
            ("hilum_drift_score", "Drift score; an alarm opens at 100.", _drift_scores()),
            ("hilum_queue_waiting", "Jobs that wait for a worker.", _jobs("waiting")),
            ("hilum_queue_running", "Jobs that a worker has claimed.", _jobs("running")),
            ("hilum_queue_oldest_seconds", "Age of the job that waits longest.", _oldest()),
            ("hilum_uploads", "Uploads by site and status.", _uploads()),
            ("hilum_analyses", "Analyses by model and status.", _analyses()),
            ("hilum_stored_files_missing", "Files that rows name and the store lacks.", _file_problems()),
            (
                "hilum_backup_last_success_timestamp_seconds",
                "When the last complete backup ended; absent before the first.",
                _last_backup(),
            ),
            ("hilum_backup_failed", "1: the last backup failed or is overdue.", _backup_failed()),
            ("hilum_engine", "Speed of each host's engine relative to PyTorch.", _engines()),
            *operations.metrics(),
        ):
            rows = list(samples)
            metric = GaugeMetricFamily(name, documentation, labels=list(rows[0][0]) if rows else [])
            for labels, value in rows:
                metric.add_metric(list(labels.values()), value)
            yield metric


def _alarms() -> Iterable[Sample]:
    rows = Alarm.objects.exclude(status=AlarmStatus.CLOSED).order_by()
    for row in rows.values("site__slug", "kind", "status").annotate(n=Count("pk")):
        yield {"site": row["site__slug"], "kind": row["kind"], "status": row["status"]}, row["n"]


def _drift_scores() -> Iterable[Sample]:
    runs = MonitoringRun.objects.filter(ended_at=None, baseline__ended_at=None).select_related(
        "baseline__site", "baseline__model_version"
    )
    for run in runs.defer("baseline__data", "points", "by_score"):
        baseline = run.baseline
        model = str(baseline.model_version) if baseline.model_version else ""
        labels = {"site": baseline.site.slug, "model": model, "kind": Signal(baseline.kind).value}
        yield labels, run.martingale


def _served() -> list[Queue]:
    return sorted({Queue(table.QUEUE) for table in job_tables()})


def _jobs(state: str) -> Iterable[Sample]:
    counts = dict.fromkeys(_served(), 0)
    for table in job_tables():
        counts[table.QUEUE] += table.objects.filter(status=getattr(table.TRANSITIONS, state)).count()
    return [({"queue": queue.value}, count) for queue, count in counts.items()]


def _oldest() -> Iterable[Sample]:
    now, ages = timezone.now(), dict.fromkeys(_served(), 0.0)
    for table in job_tables():
        waiting = table.objects.filter(status=table.TRANSITIONS.waiting)
        if oldest := waiting.aggregate(at=Min("created_at"))["at"]:
            ages[table.QUEUE] = max(ages[table.QUEUE], (now - oldest).total_seconds())
    return [({"queue": queue.value}, age) for queue, age in ages.items()]


def _uploads() -> Iterable[Sample]:
    for row in Upload.objects.order_by().values("site__slug", "status").annotate(n=Count("pk")):
        yield {"site": row["site__slug"], "status": row["status"]}, row["n"]


def _analyses() -> Iterable[Sample]:
    columns = ("model_version__slot", "model_version__number", "status")
    for row in Analysis.objects.order_by().values(*columns).annotate(n=Count("pk")):
        model = f"{row['model_version__slot']}-{row['model_version__number']}"
        yield {"model": model, "status": row["status"]}, row["n"]


def _file_problems() -> Iterable[Sample]:
    counts = dict(FileProblem.objects.order_by().values_list("kind").annotate(n=Count("pk")))
    for kind in FileProblem.Kind:
        yield {"kind": kind.value}, counts.get(kind.value, 0)


def _last_backup() -> Iterable[Sample]:
    done = last_success()
    if done and done.finished_at:
        yield {}, done.finished_at.timestamp()


def _backup_failed() -> Iterable[Sample]:
    yield {}, float(backup_state() in (State.FAILED, State.OVERDUE))


def _engines() -> Iterable[Sample]:
    for row in ServingEngine.objects.select_related("model_version"):
        names = {"engine": row.engine, "precision": row.precision}
        yield {"model": str(row.model_version), "host": row.host, **names}, row.gain or 1.0
