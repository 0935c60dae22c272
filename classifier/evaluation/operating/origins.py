"""What the evaluation reports of an origin: each finding against the normal images there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.contract import NORMAL
from classifier.evaluation import bootstrap, metrics
from classifier.evaluation.operating.headline import ANY, MEASURES

if TYPE_CHECKING:
    from classifier.evaluation.report import Table

FEWEST = 5  # images with the finding, or normal ones, required for a measure
TINY = 1e-12


def measures_of(table: Table, origin: str = "") -> list[dict[str, Any]]:
    """A row (see `headline`) for each finding other than `normal`, and one for any of them.

    AUC: of p(finding) / p(normal), the finding against normal. False alarms: normal images at or above the
    finding's threshold; for any finding, those with a reported one. Sensitivity likewise. In a model without
    `normal`, the images without the finding stand for normal ones.
    """
    findings = [finding for finding in table.findings if finding != NORMAL]
    rows = [_of_finding(table, finding) for finding in findings]
    if NORMAL in table.findings:
        rows.append(_of_any(table))
    shown = [row for row in rows if any(row[measure] for measure in MEASURES)]
    return [{"origin": origin, **row} for row in shown]


def _of_finding(table: Table, finding: str) -> dict[str, Any]:
    k = table.findings.index(finding)
    positive, scores = table.t[:, k] == 1, np.log(table.p[:, k] + TINY)
    normal = table.t[:, k] == 0
    if NORMAL in table.findings:
        n = table.findings.index(NORMAL)
        normal, scores = table.t[:, n] == 1, scores - np.log(table.p[:, n] + TINY)
    called = table.p[:, k] >= table.thresholds[:, k]
    return {"finding": finding, **_against_normal(table, positive & ~normal, normal, called, scores)}


def _of_any(table: Table) -> dict[str, Any]:
    n = table.findings.index(NORMAL)
    called = (table.shown >= 0) & (table.shown != n)
    normal = table.t[:, n] == 1
    return {"finding": ANY, **_against_normal(table, table.t[:, n] == 0, normal, called, -table.p[:, n])}


def _against_normal(
    table: Table, positive: np.ndarray, normal: np.ndarray, called: np.ndarray, scores: np.ndarray
) -> dict[str, Any]:
    part = table.subset(positive | normal)
    scores, called, positive, normal = (a[positive | normal] for a in (scores, called, positive, normal))
    enough = {"auc": min(positive.sum(), normal.sum()), "false_alarms": normal.sum()}
    enough["sensitivity"] = positive.sum()
    chosen = [measure for measure, images in enough.items() if images >= FEWEST]

    def measures(w: np.ndarray) -> Mapping[str, metrics.Measured]:
        found: dict[str, metrics.Measured] = {}
        if "auc" in chosen:
            found["auc"] = metrics.auc(scores, positive, w)
        for measure, among in (("false_alarms", normal), ("sensitivity", positive)):
            if measure in chosen:
                found[measure] = metrics.ratio(w @ (called & among).astype(float), w @ among.astype(float))
        return found

    values = part.intervals(measures) if chosen else {}
    for measure, among in (("false_alarms", normal), ("sensitivity", positive)):
        if measure in values:
            patients = len(np.unique(part.patients[among]))
            values[measure] = bootstrap.widened(values[measure], patients)
    return {
        "images": len(part),
        "patients": len(np.unique(part.patients)),
        "present": int(positive.sum()),
        "normals": int(normal.sum()),
        **{measure: values.get(measure) for measure in MEASURES},
    }
