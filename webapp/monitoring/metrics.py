"""The state of the queues and alarms in Prometheus' text format (0.0.4): counts and ages, no patient data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from webapp.analysis.models import Analysis
from webapp.core.jobs.table import JobRow
from webapp.monitoring.kinds import Kind
from webapp.monitoring.models import Alarm, AlarmStatus, MonitoringRun
from webapp.scans.models import Upload

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
QUEUES: Mapping[str, type[JobRow]] = {"ingest": Upload, "infer": Analysis}
Sample = tuple[Mapping[str, str], float]


def exposition(others: Mapping[str, type[JobRow]]) -> str:
    """Every metric; `others` are further ledgers by the name of their queue."""
    queues = {**QUEUES, **others}
    parts = [
        _metric("hilum_alarms", "Alarms that are not closed, by site, kind and status.", _alarms()),
        _metric("hilum_evidence", "Capital of the bets against no change; an alarm at 100.", _evidence()),
        _metric("hilum_queue_waiting", "Rows that wait for a worker.", _waiting(queues)),
        _metric("hilum_queue_running", "Rows that a worker holds.", _running(queues)),
        _metric("hilum_queue_oldest_seconds", "Age of the row that waits longest.", _oldest(queues)),
        _metric("hilum_uploads", "Uploads by site and status.", _uploads()),
        _metric("hilum_analyses", "Analyses by model and status.", _analyses()),
    ]
    return "".join(parts)


def _alarms() -> Iterable[Sample]:
    rows = Alarm.objects.exclude(status=AlarmStatus.CLOSED).order_by()
    for row in rows.values("site__slug", "kind", "status").annotate(n=Count("pk")):
        yield {"site": row["site__slug"], "kind": row["kind"], "status": row["status"]}, row["n"]


def _evidence() -> Iterable[Sample]:
    runs = MonitoringRun.objects.filter(ended_at=None, baseline__ended_at=None).select_related(
        "baseline__site", "baseline__model_version"
    )
    for run in runs.defer("baseline__data", "points", "by_score"):
        baseline = run.baseline
        model = str(baseline.model_version) if baseline.model_version else ""
        labels = {"site": baseline.site.slug, "model": model, "kind": Kind(baseline.kind).value}
        yield labels, run.martingale


def _waiting(queues: Mapping[str, type[JobRow]]) -> Iterable[Sample]:
    return [
        ({"queue": name}, _of(model, model.TRANSITIONS.waiting).count()) for name, model in queues.items()
    ]


def _running(queues: Mapping[str, type[JobRow]]) -> Iterable[Sample]:
    return [
        ({"queue": name}, _of(model, model.TRANSITIONS.running).count()) for name, model in queues.items()
    ]


def _oldest(queues: Mapping[str, type[JobRow]]) -> Iterable[Sample]:
    now = timezone.now()
    for name, model in queues.items():
        oldest = _of(model, model.TRANSITIONS.waiting).aggregate(at=Min("created_at"))["at"]
        yield {"queue": name}, (now - oldest).total_seconds() if oldest else 0.0


def _of(model: type[JobRow], status: str) -> QuerySet:
    return model._base_manager.filter(status=status)


def _uploads() -> Iterable[Sample]:
    for row in Upload.objects.order_by().values("site__slug", "status").annotate(n=Count("pk")):
        yield {"site": row["site__slug"], "status": row["status"]}, row["n"]


def _analyses() -> Iterable[Sample]:
    columns = ("model_version__slot", "model_version__number", "status")
    for row in Analysis.objects.order_by().values(*columns).annotate(n=Count("pk")):
        model = f"{row['model_version__slot']}-{row['model_version__number']}"
        yield {"model": model, "status": row["status"]}, row["n"]


def _metric(name: str, said: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {said}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{told}}} {_number(value)}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
