"""Nonconformity score of an image against its baseline: orders label queues by drift."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from uuid import UUID

from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import Baseline, Observation

FAR = 8.0  # in spreads, as in `classifier.drift.martingale`
KINDS = (Signal.PIXELS, Signal.FEATURES)

Ends = tuple[Sequence[float], Sequence[float]]


def nonconformity_scores(scans: Collection[UUID], findings: Sequence[str]) -> dict[UUID, float]:
    """Scan id to its distance from the centre of the current baseline in spreads, by the larger signal.

    Uses the newest result of each scan; scans without a baseline are left out.
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
    terms = [min(abs(x - m) / s, FAR) ** 2 for x, m, s in zip(case, middle, spread, strict=True)]
    return math.sqrt(sum(terms) / len(terms))
