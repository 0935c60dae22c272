"""The cases of each monitored signal at one site and model version, in order."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from webapp.accounts.models import Site
from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import Observation, ReaderFeedback
from webapp.registry.models import ModelVersion
from webapp.scans.models import Upload

# After this time no case can be inserted before one that was already processed.
SETTLED = timedelta(seconds=20)
SETTLED_UPLOAD = timedelta(minutes=10)
LEAST, MOST = 1e-6, 1 - 1e-6


@dataclass(frozen=True)
class Case:
    """One case of a stream; its key orders cases of the same time and breaks ties of rank."""

    key: uuid.UUID
    at: datetime
    numbers: tuple[float, ...]

    @property
    def draw(self) -> float:
        """A number in 0..1 that never changes for this case: keys are random (UUID4)."""
        return (self.key.int % 2**53) / 2**53


@dataclass(frozen=True)
class StreamPosition:
    """After the case with this key at this time; without a key: from this time on."""

    at: datetime
    key: uuid.UUID | None = None


def cases(
    site: Site, version: ModelVersion | None, kind: Signal, *, after: StreamPosition | None, most: int
) -> list[Case]:
    """Up to `most` cases of a stream after a position (None: from its first case)."""
    time, key, rows = _stream(site, version, kind)
    if after is not None:
        rows = rows.filter(_behind(time, key, after))
    rows = rows.order_by(time, key)[:most]
    read = {
        Signal.PIXELS: lambda row: row.pixels,
        Signal.FEATURES: lambda row: row.features,
        Signal.PREDICTIONS: lambda row: [
            _log_odds(p) for _, p in sorted(row.analysis.own_probabilities.items())
        ],
        Signal.ABSTENTIONS: lambda row: [row.withheld],
        Signal.REFUSALS: lambda row: [row.status == Upload.Status.REFUSED],
        Signal.OVERRIDES: lambda row: [row.overrides],
        Signal.PERFORMANCE: lambda row: [row.loss],
    }[kind]
    return [Case(row.pk, getattr(row, time), tuple(map(float, read(row)))) for row in rows]


def count(
    site: Site, version: ModelVersion | None, kind: Signal, *, after: StreamPosition | None, most: int
) -> int:
    """The number of cases in a stream after a position, at most `most`."""
    time, key, rows = _stream(site, version, kind)
    if after is not None:
        rows = rows.filter(_behind(time, key, after))
    return rows.order_by()[:most].count()


def _stream(site: Site, version: ModelVersion | None, kind: Signal) -> tuple[str, str, QuerySet]:
    """The names of the time and key columns, and the rows."""
    now = timezone.now()
    if kind == Signal.REFUSALS:
        read = Q(status=Upload.Status.REFUSED) | Q(status=Upload.Status.DONE, skipped__isnull=True)
        uploads = Upload.objects.filter(read, site=site, created_at__lt=now - SETTLED_UPLOAD)
        return "created_at", "pk", uploads.only("pk", "status", "created_at")
    of = {"site": site, "model_version": version, "at__lt": now - SETTLED}
    if kind == Signal.OVERRIDES:
        return "at", "pk", ReaderFeedback.objects.filter(**of, overrides__isnull=False)
    if kind == Signal.PERFORMANCE:
        labels = ReaderFeedback.objects.filter(**of, source=ReaderFeedback.Source.LABEL)
        return "at", "pk", labels.filter(loss__isnull=False)
    rows = Observation.objects.filter(**of)
    if kind == Signal.PREDICTIONS:
        rows = rows.select_related("analysis").only("at", "analysis__probabilities", "analysis__model_output")
    if kind == Signal.PIXELS:
        rows = rows.exclude(pixels=[]).only("at", "pixels")
    if kind == Signal.FEATURES:
        rows = rows.exclude(features=[]).only("at", "features")
    return "at", "pk", rows


def _behind(time: str, key: str, mark: StreamPosition) -> Q:
    if mark.key is None:
        return Q(**{f"{time}__gte": mark.at})
    later = Q(**{f"{time}__gt": mark.at}) | Q(**{time: mark.at, f"{key}__gt": mark.key})
    # The redundant bound lets the database use the index.
    return later & Q(**{f"{time}__gte": mark.at})


def _log_odds(probability: float) -> float:
    sure = min(max(probability, LEAST), MOST)
    return math.log(sure / (1 - sure))
