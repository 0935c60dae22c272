"""Sensitivity, specificity and alarms of thresholds on a site's labelled scans, with 95 % intervals.

numpy only. Arguments as in `correction`; `patients` (N,) group the scans in the bootstrap. `prevalence` is
the share of scans with the finding at the site; None: as among the labelled scans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from classifier.contract import NORMAL
from classifier.evaluation.bootstrap import Interval, intervals

DRAWS, SEED = 500, 0
Z = 1.959964
GRID = np.round(np.arange(0.025, 1.0, 0.025), 3)
FALSE_ALARM_RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
MEASURES = ("sensitivity", "specificity", "false_alarms", "alarms", "ppv")


def clear_scans(targets: np.ndarray, known: np.ndarray, findings: Sequence[str], finding: str) -> np.ndarray:
    """The scans on which the finding is a false alarm, (N,): those labelled normal.

    For `normal`, and in a model without it, those that are labelled without the finding.
    """
    if NORMAL in findings and finding != NORMAL:
        normal = findings.index(NORMAL)
        return known[:, normal] & (targets[:, normal] == 1)
    k = findings.index(finding)
    return known[:, k] & (targets[:, k] == 0)


def threshold_for(scores: np.ndarray, clear: np.ndarray, rate: float) -> float | None:
    """The lowest threshold at which a new clear scan is a false alarm with a probability of at most `rate`.

    With k false alarms on n clear scans, (k + 1) / (n + 1) <= rate, as in an artifact (Vovk et al. 2005).
    Midway between neighbouring scores; None where there are too few clear scans for this rate.
    """
    candidates = _candidates(scores)
    alarms = clear.sum() - np.searchsorted(np.sort(scores[clear]), candidates)
    allowed = np.flatnonzero((alarms + 1) / (clear.sum() + 1) <= rate + 1e-12)
    return float(candidates[allowed[0]]) if len(allowed) else None


def fewest_clear_scans(rate: float) -> int:
    """How many clear scans `threshold_for` needs for this rate."""
    return int(np.ceil(1 / rate - 1e-9)) - 1


def youden_threshold(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """The threshold of largest sensitivity + specificity (Youden 1950); None without scans of both kinds."""
    if positive.all() or not positive.any():
        return None
    candidates = _candidates(scores)
    sensitivity = 1 - np.searchsorted(np.sort(scores[positive]), candidates) / positive.sum()
    specificity = np.searchsorted(np.sort(scores[~positive]), candidates) / (~positive).sum()
    return float(candidates[int(np.argmax(sensitivity + specificity))])


def _candidates(scores: np.ndarray) -> np.ndarray:
    values = np.unique(scores)
    return np.r_[values[0] / 2, (values[1:] + values[:-1]) / 2, (values[-1] + 1) / 2]


def thresholds_shown(scores: np.ndarray, clear: np.ndarray, chosen: float) -> np.ndarray:
    """Rising thresholds for a curve: a grid, those of usual false-alarm rates, and the chosen one."""
    usual = (threshold_for(scores, clear, rate) for rate in FALSE_ALARM_RATES)
    return np.unique([*GRID, *(value for value in usual if value is not None), chosen])


def curve(
    scores: np.ndarray,
    positive: np.ndarray,
    patients: Sequence,
    thresholds: Sequence[float] | np.ndarray,
    *,
    clear: np.ndarray | None = None,
    prevalence: float | None = None,
    draws: int = DRAWS,
) -> list[dict[str, Any]]:
    """For each threshold a mapping of `threshold` and the MEASURES, with intervals.

    A scan with a score (N,) at or above the threshold is an alarm; `alarms` are per 100 scans,
    `false_alarms` the share of the `clear` scans (N,), by default of those that are not `positive`.
    """
    normal = ~positive.astype(bool) if clear is None else clear
    called = scores[:, None] >= np.asarray(thresholds)[None, :]
    there = positive.astype(bool)

    def measures(weights: np.ndarray) -> dict[str, np.ndarray]:
        up, down = weights * there, weights * ~there
        with np.errstate(invalid="ignore", divide="ignore"):
            sensitivity = (up @ called) / up.sum(axis=1, keepdims=True)
            specificity = 1 - (down @ called) / down.sum(axis=1, keepdims=True)
            of_clear = weights * normal
            false_alarms = (of_clear @ called) / of_clear.sum(axis=1, keepdims=True)
            if prevalence is None:
                right, alarms = (weights_of @ called / weights.sum(axis=1, keepdims=True)
                                 for weights_of in (up, weights))  # fmt: skip
            else:
                right = sensitivity * prevalence
                alarms = right + (1 - specificity) * (1 - prevalence)
            ppv = np.where(alarms > 0, right / alarms, np.nan)
        found = (sensitivity, specificity, false_alarms, 100 * alarms, ppv)
        return {
            f"{name} {k}": values[:, k]
            for name, values in zip(MEASURES, found, strict=True)
            for k in range(called.shape[1])
        }

    found = intervals(measures, patients, draws=draws, seed=SEED)
    people = np.asarray(patients)
    rows = []
    for k, value in enumerate(thresholds):
        row = {name: found[f"{name} {k}"] for name in MEASURES}
        row["sensitivity"] = _bounded(row["sensitivity"], people[there])
        row["specificity"] = _bounded(row["specificity"], people[~there])
        row["false_alarms"] = _bounded(row["false_alarms"], people[normal])
        row["ppv"] = _bounded(row["ppv"], people[called[:, k]])
        rows.append({"threshold": float(value), **row})
    return rows


def _bounded(share: Interval, patients: np.ndarray) -> Interval:
    """Wilson's bound by number of patients for a share of 0 or 1, where the bootstrap has no width."""
    if share["value"] not in (0.0, 1.0):
        return share
    count = len(np.unique(patients))
    bound = count / (count + Z * Z)
    return {"value": 1.0, "low": bound, "high": 1.0} if share["value"] else {
        "value": 0.0, "low": 0.0, "high": 1 - bound
    }  # fmt: skip


def operating_points(
    probabilities: np.ndarray,
    targets: np.ndarray,
    known: np.ndarray,
    findings: Sequence[str],
    thresholds: Mapping[str, float],
    patients: np.ndarray,
    *,
    prevalence: Mapping[str, float] | None = None,
) -> dict[str, dict[str, Any]]:
    """The measures of `curve` at each finding's threshold; findings without a labelled scan are left out."""
    found = {}
    for k, finding in enumerate(findings):
        rows = known[:, k]
        if rows.any():
            at = [thresholds[finding]]
            share = (prevalence or {}).get(finding)
            scores, positive = probabilities[rows, k], targets[rows, k] == 1
            clear = clear_scans(targets, known, findings, finding)[rows]
            found[finding] = curve(scores, positive, patients[rows], at, clear=clear, prevalence=share)[0]
    return found


def reported(
    probabilities: np.ndarray, findings: Sequence[str], thresholds: Mapping[str, float], decision: str
) -> np.ndarray:
    """Column of each scan's reported finding, (N,), -1 for none; `decision` as in ModelSpec."""
    above = probabilities >= np.array([thresholds[finding] for finding in findings])
    if decision == "abnormal_first" and NORMAL in findings:
        normal = findings.index(NORMAL)
        above[:, normal] &= above.sum(axis=1) == 1
    best = np.where(above, probabilities, -1.0).argmax(axis=1)
    return np.where(above.any(axis=1), best, -1)


def alarm_rates(
    probabilities: np.ndarray,
    targets: np.ndarray,
    known: np.ndarray,
    findings: Sequence[str],
    thresholds: Mapping[str, float],
    patients: np.ndarray,
    *,
    decision: str,
) -> dict[str, Interval]:
    """Scans with a reported finding other than normal, per 100: of `all` labelled ones, and of the `normal`.

    Both as the reader sees them: one finding is reported a scan.
    """
    named = reported(probabilities, findings, thresholds, decision)
    normal = findings.index(NORMAL) if NORMAL in findings else -2
    alarm = ((named >= 0) & (named != normal)).astype(float)
    if normal >= 0:
        clear = known[:, normal] & (targets[:, normal] == 1)
    else:
        clear = known.all(axis=1) & (targets.sum(axis=1) == 0)

    def measures(weights: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            of_clear = (weights @ (alarm * clear)) / (weights @ clear.astype(float))
        return {"all": (weights @ alarm) / weights.sum(axis=1), "normal": of_clear}

    found = intervals(measures, list(patients), draws=DRAWS, seed=SEED)
    bounded = {"all": _bounded(found["all"], patients), "normal": _bounded(found["normal"], patients[clear])}
    return {
        name: {end: None if value is None else 100 * value for end, value in share.items()}
        for name, share in bounded.items()
    }
