"""Prediction sets with a stated coverage: fitted on the validation part, measured on the test part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.evaluation import metrics

if TYPE_CHECKING:
    from classifier.evaluation.report import Table

COVERAGE = 0.9
FEWEST = 10  # images of a group


def fit_floors(
    probabilities: np.ndarray, targets: np.ndarray, findings: Sequence[str], coverage: float = COVERAGE
) -> dict[str, float]:
    """For each finding the probability from which it belongs to the prediction set.

    Split conformal prediction with least ambiguous sets, by class (Sadinle et al. 2019): of new images with
    the finding that are like the validation ones, at least the share `coverage` is at or above its floor, as
    common or rare as the finding may be. A finding with too few images for that (8 at 0.9) is in every set.
    """
    floors = {}
    for k, finding in enumerate(findings):
        scores = np.sort(probabilities[targets[:, k] == 1, k])
        rank = int((1 - coverage) * (len(scores) + 1) + 1e-9)
        floors[finding] = float(scores[rank - 1]) if rank else 0.0
    return floors


def measures_of_sets(table: Table, by_origin: Sequence[tuple[str, Table]]) -> dict[str, Any] | None:
    """Coverage and mean size of the sets, overall, by finding and by origin; None for models without them.

    `coverage`: the share of images whose finding is in the set; `single`: of sets of one finding.
    """
    if table.set_coverage is None or not table.exclusive:
        return None
    findings = {f: table.subset(table.t[:, k] == 1) for k, f in enumerate(table.findings)}
    return {
        "stated": table.set_coverage,
        "overall": _of_group(table),
        "findings": {name: _of_group(part) for name, part in findings.items() if len(part) >= FEWEST},
        "origins": {name: _of_group(part) for name, part in by_origin if len(part) >= FEWEST},
    }


def _of_group(table: Table) -> dict[str, Any]:
    sizes = table.sets.sum(axis=1)
    values = {
        "coverage": (table.sets & (table.t == 1)).any(axis=1),
        "mean_size": sizes,
        "single": sizes == 1,
    }

    def measures(w: np.ndarray) -> dict[str, metrics.Measured]:
        return {name: metrics.ratio(w @ v.astype(float), w.sum(axis=-1)) for name, v in values.items()}

    return {"images": len(table), **table.intervals(measures)}
