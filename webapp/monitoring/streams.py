"""The streams that charts watch: for each kind, the cases of one site and model version in their order."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from webapp.accounts.models import Site
from webapp.monitoring.kinds import Kind
from webapp.monitoring.models import Observation, Verdict
from webapp.registry.models import ModelVersion
from webapp.scans.models import Upload

# So long after its moment a case can no longer come in before one that was looked at.
SETTLED = timedelta(seconds=20)
SETTLED_UPLOAD = timedelta(minutes=10)
LEAST, MOST = 1e-6, 1 - 1e-6


@dataclass(frozen=True)
class Case:
    """One case of a stream; its key orders those of one moment and breaks ties of rank."""

    key: uuid.UUID
    at: datetime
    numbers: tuple[float, ...]

    @property
    def draw(self) -> float:
        """A number in 0..1 that is this case's for ever: keys are random (UUID4)."""
        return (self.key.int % 2**53) / 2**53


@dataclass(frozen=True)
class Mark:
    """A place in a stream: behind the case with this key at this moment, or at the moment's beginning."""

    at: datetime
    key: uuid.UUID | None = None


def cases(
    site: Site, version: ModelVersion | None, kind: Kind, *, behind: Mark | None, most: int
) -> list[Case]:
    """Up to `most` cases of a stream behind a mark (None: from its beginning)."""
    moment, key, rows = _stream(site, version, kind)
    if behind is not None:
        rows = rows.filter(_behind(moment, key, behind))
    rows = rows.order_by(moment, key)[:most]
    read = {
        Kind.PIXELS: lambda row: row.pixels,
        Kind.FEATURES: lambda row: row.features,
        Kind.PREDICTIONS: lambda row: [_log_odds(p) for _, p in sorted(row.analysis.probabilities.items())],
        Kind.ABSTENTIONS: lambda row: [row.withheld],
        Kind.REFUSALS: lambda row: [row.status == Upload.Status.REFUSED],
        Kind.OVERRIDES: lambda row: [row.overrides],
        Kind.PERFORMANCE: lambda row: [row.loss],
    }[kind]
    return [Case(row.pk, getattr(row, moment), tuple(map(float, read(row)))) for row in rows]


def count(site: Site, version: ModelVersion | None, kind: Kind, *, behind: Mark | None, most: int) -> int:
    """How many cases a stream has behind a mark; `most` where there are that many."""
    moment, key, rows = _stream(site, version, kind)
    if behind is not None:
        rows = rows.filter(_behind(moment, key, behind))
    return rows.order_by()[:most].count()


def _stream(site: Site, version: ModelVersion | None, kind: Kind) -> tuple[str, str, QuerySet]:
    """The names of the moment and of the key, and the rows."""
    now = timezone.now()
    if kind == Kind.REFUSALS:
        read = Q(status=Upload.Status.REFUSED) | Q(status=Upload.Status.DONE, skipped__isnull=True)
        uploads = Upload.objects.filter(read, site=site, created_at__lt=now - SETTLED_UPLOAD)
        return "created_at", "pk", uploads.only("pk", "status", "created_at")
    of = {"site": site, "model_version": version, "at__lt": now - SETTLED}
    if kind == Kind.OVERRIDES:
        return "at", "pk", Verdict.objects.filter(**of, overrides__isnull=False)
    if kind == Kind.PERFORMANCE:
        return "at", "pk", Verdict.objects.filter(**of, source=Verdict.Source.LABEL, loss__isnull=False)
    rows = Observation.objects.filter(**of)
    if kind == Kind.PREDICTIONS:
        rows = rows.select_related("analysis").only("at", "analysis__probabilities")
    if kind == Kind.PIXELS:
        rows = rows.exclude(pixels=[]).only("at", "pixels")
    if kind == Kind.FEATURES:
        rows = rows.exclude(features=[]).only("at", "features")
    return "at", "pk", rows


def _behind(moment: str, key: str, mark: Mark) -> Q:
    if mark.key is None:
        return Q(**{f"{moment}__gte": mark.at})
    later = Q(**{f"{moment}__gt": mark.at}) | Q(**{moment: mark.at, f"{key}__gt": mark.key})
    # The plain bound is there for the index to follow.
    return later & Q(**{f"{moment}__gte": mark.at})


def _log_odds(probability: float) -> float:
    sure = min(max(probability, LEAST), MOST)
    return math.log(sure / (1 - sure))
