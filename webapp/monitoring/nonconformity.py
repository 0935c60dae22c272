"""How unlike its reference an image is: the label queue's order by drift."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from uuid import UUID

from webapp.monitoring.kinds import Kind
from webapp.monitoring.models import Baseline, Observation

FAR = 8.0  # spreads beyond which one number counts no more, as in `classifier.drift.martingale`
KINDS = (Kind.PIXELS, Kind.FEATURES)

Ends = tuple[Sequence[float], Sequence[float]]


def strangeness(scans: Collection[UUID], findings: Sequence[str]) -> dict[UUID, float]:
    """Scan id to its distance from the middle of the reference in force, in spreads, by the stranger chart.

    Of the newest answer on each scan; a scan whose site and model have no reference yet is left out.
    """
    references: dict[tuple[UUID, UUID], dict[str, Ends]] = {}
    for held in Baseline.objects.filter(kind__in=KINDS, ended_at=None):
        ends = held.data["middle"], held.data["spread"]
        references.setdefault((held.site_id, held.model_version_id), {})[held.kind] = ends
    found: dict[UUID, float] = {}
    seen = Observation.objects.filter(analysis__scan__in=scans).order_by("at")
    for one in seen.values("analysis__scan", "site", "model_version", "pixels", "features"):
        reference = references.get((one["site"], one["model_version"]), {})
        far = [_distance(one[kind], *ends) for kind, ends in reference.items() if one[kind]]
        if far:
            found[one["analysis__scan"]] = max(far)
    return found


def _distance(case: Sequence[float], middle: Sequence[float], spread: Sequence[float]) -> float:
    squares = [min(abs(x - m) / s, FAR) ** 2 for x, m, s in zip(case, middle, spread, strict=True)]
    return math.sqrt(sum(squares) / len(squares))
