"""Shadow mode: a candidate scores new scans where no reader sees it; only its agreement is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import transaction

from classifier.contract import Prediction
from webapp.analysis.models import Analysis, ShadowAnalysis
from webapp.core.agreement import cohen
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.core.jobs.table import JobStatus
from webapp.registry.models import ModelVersion
from webapp.registry.selectors import active_models
from webapp.scans.models import Scan

LOOKED_AT = 10_000


@transaction.atomic
def shadows_queue(scans: Iterable[Scan]) -> int:
    """Queue new scans for the shadow-mode candidates of their slot; returns how many."""
    scans = list(scans)
    versions = ModelVersion.objects.filter(shadow=True, slot__in={scan.slot for scan in scans})
    wanted = [ShadowAnalysis(scan=s, model_version=v) for v in versions for s in scans if s.slot == v.slot]
    ShadowAnalysis.objects.bulk_create(wanted, ignore_conflicts=True)
    if wanted:
        notify_workers(Queue.INFER)
    return len(wanted)


def shadow_done(*, shadow: ShadowAnalysis, prediction: Prediction) -> bool:
    """Store the candidate's result; False when the attempt has lost its lease."""
    return shadow.finish(
        JobStatus.DONE,
        finding=prediction.finding or "",
        uncertainty=prediction.uncertainty,
        probabilities=dict(prediction.probabilities),
        withheld=prediction.withheld,
    )


@dataclass(frozen=True)
class Agreement:
    """How a shadow-mode candidate agrees with the active model on the same scans.

    `same`: the same reported finding, and withheld alike; site calibrations of the active model do not count.
    `kappa` (Cohen) is of the reported finding, None where both always report the same. `reported`: finding
    ("" for none) to (candidate, active) counts; `difference`: mean distance of the two probabilities by
    finding.
    """

    scored: int = 0
    failed: int = 0
    compared: int = 0
    same: int = 0
    kappa: float | None = None
    withheld: tuple[int, int] = (0, 0)
    reported: dict[str, tuple[int, int]] = field(default_factory=dict)
    difference: dict[str, float] = field(default_factory=dict)


def agreement(version: ModelVersion) -> Agreement:
    """The agreement over the newest scans that the candidate has scored."""
    rows = ShadowAnalysis.objects.filter(model_version=version)
    done = {row.scan_id: row for row in rows.filter(status="done").order_by("-created_at")[:LOOKED_AT]}
    failed = rows.filter(status="failed").count()
    active = active_models().get(version.slot)
    shadowed = rows.filter(status="done").values("scan")
    analyses = Analysis.objects.filter(model_version=active, status="done", scan__in=shadowed)
    pairs = [(done[analysis.scan_id], analysis) for analysis in analyses if analysis.scan_id in done]
    return _summed(pairs, scored=len(done), failed=failed)


def _summed(pairs: Sequence[tuple[ShadowAnalysis, Analysis]], *, scored: int, failed: int) -> Agreement:
    if not pairs:
        return Agreement(scored=scored, failed=failed)
    ours, theirs = Counter(a.finding for a, _ in pairs), Counter(b.own_finding for _, b in pairs)
    shared = set(pairs[0][0].probabilities) & set(pairs[0][1].own_probabilities)
    return Agreement(
        scored=scored,
        failed=failed,
        compared=len(pairs),
        same=sum((a.finding, a.withheld) == (b.own_finding, b.withheld) for a, b in pairs),
        kappa=cohen([(a.finding, b.own_finding) for a, b in pairs]).value,
        withheld=(sum(a.withheld for a, _ in pairs), sum(b.withheld for _, b in pairs)),
        reported={name: (ours[name], theirs[name]) for name in sorted(ours | theirs)},
        difference={
            name: sum(abs(a.probabilities[name] - b.own_probabilities[name]) for a, b in pairs) / len(pairs)
            for name in sorted(shared)
        },
    )
