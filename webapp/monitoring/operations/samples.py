"""The parts as samples for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from webapp.monitoring.operations import parts
from webapp.registry.models import ModelStatus, ModelVersion

Sample = tuple[Mapping[str, str], float]


def metrics() -> Iterable[tuple[str, str, Iterable[Sample]]]:
    """Name, documentation and samples of each metric."""
    yield "hilum_worker_seen_timestamp_seconds", "When each worker last reported.", _workers()
    yield "hilum_jobs_failed", "Jobs that failed within the last day.", _failures()
    yield "hilum_disk_free_bytes", "Free space of HILUM_DATA.", [({}, float(parts.disk().free))]
    yield "hilum_disk_floor_bytes", "No uploads are accepted below.", [({}, float(parts.disk().floor))]
    yield "hilum_broker_up", "1: messages can be sent.", [({}, float(parts.broker_is_up()))]
    yield "hilum_model_active", "The active model of each slot.", _models()
    yield (
        "hilum_certificate_expiry_timestamp_seconds",
        "When the certificate of the DICOM listener ends; absent without one.",
        _certificate(),
    )


def _workers() -> Iterable[Sample]:
    for worker in parts.workers():
        yield {"queue": worker.queue, "node": worker.node}, worker.seen_at.timestamp()


def _failures() -> Iterable[Sample]:
    for queue, count in sorted(parts.failures_today().items()):
        yield {"queue": queue}, count


def _models() -> Iterable[Sample]:
    for version in ModelVersion.objects.filter(status=ModelStatus.ACTIVE):
        yield {"slot": version.slot, "model": str(version)}, 1.0


def _certificate() -> Iterable[Sample]:
    if expiry := parts.certificate_expiry():
        yield {}, expiry.timestamp()
