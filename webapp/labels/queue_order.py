"""The order of a queue: highest score first, scans without a score last."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import UUID

from webapp.analysis.models import Analysis
from webapp.core.jobs.table import JobStatus
from webapp.labels.ground_truth import assessments_of, rater_of
from webapp.labels.models import Assessment, Label, QueueOrder

Scores = Mapping[UUID, float]
Score = Callable[[Collection[UUID], Sequence[str]], Scores]
AS_NUMBER = {Assessment.PRESENT.value: 1.0, Assessment.ABSENT.value: 0.0}


def uncertainty(scans: Collection[UUID], findings: Sequence[str]) -> Scores:
    """Uncertainty of the newest result of each scan, 0 to 1, withheld ones included."""
    newest = _results(scans).values_list("scan_id", "uncertainty")
    return {scan: value for scan, value in newest if value is not None}


def disagreement(scans: Collection[UUID], findings: Sequence[str]) -> Scores:
    """Largest difference over the findings between model probabilities and labels (present 1, absent 0)."""
    values: dict[tuple[UUID, str], dict[object, float]] = defaultdict(dict)
    for scan, version, probabilities in _results(scans).values_list(
        "scan_id", "model_version_id", "probabilities"
    ):
        for finding in findings:
            if finding in probabilities:
                values[scan, finding][version] = probabilities[finding]
    for label in Label.objects.filter(scan__in=scans, superseded_by=None).order_by("created_at"):
        for finding, word in assessments_of(label).items():
            if finding in findings and word in AS_NUMBER:
                values[label.scan_id, finding][rater_of(label)] = AS_NUMBER[word]
    gaps: dict[UUID, float] = {}
    for (scan, _), numbers in values.items():
        if len(numbers) > 1:
            gap = max(numbers.values()) - min(numbers.values())
            gaps[scan] = max(gap, gaps.get(scan, 0.0))
    return gaps


def by_chance(scans: Collection[UUID], findings: Sequence[str], *, seed: str) -> Scores:
    """A number from 0 to 1 for each scan that depends on the seed and the scan's id alone."""
    return {
        scan: int.from_bytes(hashlib.sha256(f"{seed}:{scan}".encode()).digest()[:6]) / 2**48 for scan in scans
    }


_SCORES: dict[str, Score] = {QueueOrder.UNCERTAINTY: uncertainty, QueueOrder.DISAGREEMENT: disagreement}


def register_drift_score(score: Score | None) -> None:
    """Offer the order by drift, with this score; None withdraws it. Monitoring calls this when ready."""
    _SCORES.pop(QueueOrder.DRIFT, None)
    if score is not None:
        _SCORES[QueueOrder.DRIFT] = score


def offered_orders() -> list[str]:
    """The orders that a new queue may have, in the order in which they are shown."""
    return [order.value for order in QueueOrder if order == QueueOrder.RANDOM or order in _SCORES]


def in_order(
    scans: Sequence[UUID], findings: Sequence[str], *, order: str, seed: str
) -> list[tuple[UUID, float | None]]:
    """The scans as the queue asks for them, each with its score; equal scores, and none, by chance."""
    chance = by_chance(scans, findings, seed=seed)
    if order == QueueOrder.RANDOM:
        return [(scan, None) for scan in sorted(scans, key=chance.__getitem__)]
    scores = _SCORES[order](scans, findings)
    ranked = sorted(scans, key=lambda scan: (-scores.get(scan, float("-inf")), chance[scan]))
    return [(scan, scores.get(scan)) for scan in ranked]


def _results(scans: Collection[UUID]):
    """The finished analyses, the newest last."""
    return Analysis.objects.filter(scan__in=scans, status=JobStatus.DONE).order_by("created_at")
