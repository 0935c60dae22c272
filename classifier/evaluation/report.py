"""The evaluation report: every measure with its interval, overall, by finding and by group."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.contract import ModelSpec, age_band
from classifier.evaluation import bootstrap, metrics
from classifier.evaluation.curves import curves
from classifier.evaluation.operating.headline import across
from classifier.evaluation.operating.origins import measures_of
from classifier.evaluation.operating.prediction_sets import measures_of_sets
from classifier.evaluation.predictions import Case, probabilities_of_cases

if TYPE_CHECKING:
    from classifier.data.manifest import Row

FEWEST = 5  # positive or negative cases required for a measure
FEWEST_IN_GROUP = 10
GROUPS = ("view", "sex", "age")
ARRAYS = ("p", "t", "thresholds", "sets", "shown", "reasons", "patients")  # of a Table


@dataclass(frozen=True)
class Table:
    """Cases as arrays: probabilities, targets (NaN: unknown), thresholds, and `sets`, whether a finding is in
    the prediction set, (N, findings); the rest (N,).

    `shown` is the column of the reported finding, -1 for none; `groups` are the names of source, view, sex
    and age band, empty where unknown; `reasons` those of abstentions.
    """

    findings: tuple[str, ...]
    p: np.ndarray
    t: np.ndarray
    thresholds: np.ndarray
    sets: np.ndarray
    shown: np.ndarray
    reasons: np.ndarray
    patients: np.ndarray
    groups: Mapping[str, np.ndarray]
    set_coverage: float | None = None
    draws: int = 1000
    seed: int = 0

    @classmethod
    def of(cls, spec: ModelSpec, cases: Sequence[Case], *, draws: int = 1000, seed: int = 0) -> Table:
        """The cases with a known finding. Raises ValueError if there is none, or an unknown finding."""
        from classifier.data.manifest import targets_of

        known = [case for case in cases if case.row.findings]
        if not known:
            raise ValueError("no image with a known finding has a prediction")
        rows = [case.row for case in known]
        sets = [s.findings if (s := case.prediction.prediction_set) else () for case in known]
        column = {None: -1, **{finding: k for k, finding in enumerate(spec.findings)}}
        return cls(
            findings=spec.findings,
            p=probabilities_of_cases(known, spec),
            t=targets_of(rows, spec.findings).astype(float),
            thresholds=np.tile([spec.threshold(f) for f in spec.findings], (len(known), 1)),
            sets=np.array([[f in found for f in spec.findings] for found in sets]),
            set_coverage=spec.set_coverage,
            shown=np.array([column[case.prediction.finding] for case in known]),
            reasons=np.array([str(case.prediction.abstention or "") for case in known]),
            patients=np.array([row.patient for row in rows]),
            groups=groups_of(rows),
            draws=draws,
            seed=seed,
        )

    @classmethod
    def joined(cls, tables: Sequence[Table]) -> Table:
        """One table of several models: out-of-fold predictions, each with the thresholds of its model."""
        first = tables[0]
        stacked = {name: np.concatenate([getattr(table, name) for table in tables]) for name in ARRAYS}
        groups = {name: np.concatenate([table.groups[name] for table in tables]) for name in first.groups}
        return replace(first, **stacked, groups=groups)

    def subset(self, kept: np.ndarray) -> Table:
        groups = {name: values[kept] for name, values in self.groups.items()}
        return replace(self, **{name: getattr(self, name)[kept] for name in ARRAYS}, groups=groups)

    def __len__(self) -> int:
        return len(self.p)

    @property
    def exclusive(self) -> bool:
        return bool((self.t.sum(axis=1) == 1).all())

    def intervals(self, measures: bootstrap.Measures) -> dict[str, bootstrap.Interval]:
        return bootstrap.intervals(measures, self.patients, draws=self.draws, seed=self.seed)


def groups_of(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """Source, view, sex and age band of the rows, empty where unknown."""
    named = {name: [getattr(row, name) for row in rows] for name in ("source", "view", "sex")}
    named["age"] = [age_band(row.age) for row in rows]
    return {name: np.array(values) for name, values in named.items()}


def report(
    spec: ModelSpec,
    cases: Sequence[Case],
    *,
    draws: int = 1000,
    seed: int = 0,
    prevalence: Mapping[str, float] | None = None,
    without: int = 0,
) -> dict[str, Any]:
    """Measures of the cases with a known finding, `{"value", "low", "high"}` (95 %, bootstrap by patient).

    All cases count, including withheld ones; `not_withheld` has the same measures without these, and the
    coverage, whose denominator includes the `without` images that have no result. Raises ValueError
    without cases.
    """
    return describe(Table.of(spec, cases, draws=draws, seed=seed), prevalence=prevalence, without=without)


def describe(
    table: Table, *, prevalence: Mapping[str, float] | None = None, without: int = 0
) -> dict[str, Any]:
    """The report of a table; see `report`."""
    prevalence = prevalence or {}
    unknown = set(prevalence) - set(table.findings)
    if unknown:
        raise ValueError(f"the model does not have the findings {', '.join(sorted(unknown))}")
    by_source = parts(table, "source")
    sources = {name: {**of_group(part), "pairs": pairs(part)} for name, part in by_source}
    origins = [row for name, part in by_source for row in measures_of(part, name)]
    return {
        **counts(table),
        **_measures(table, prevalence),
        "confusion": _confusion(table),
        "reported": _reported(table),
        "home": measures_of(table),
        "origins": origins,
        "across_origins": across(origins),
        "prediction_sets": measures_of_sets(table, by_source),
        "sources": sources,
        "groups": {by: {name: of_group(part) for name, part in parts(table, by)} for by in GROUPS},
        "not_withheld": _not_withheld(table, prevalence, without),
        "curves": curves(table.findings, table.p, table.t, exclusive=table.exclusive),
    }


def counts(table: Table) -> dict[str, Any]:
    return {
        "cases": len(table),
        "patients": len(np.unique(table.patients)),
        "present": {f: int((table.t[:, k] == 1).sum()) for k, f in enumerate(table.findings)},
        "withheld": int((table.reasons != "").sum()),
    }


def _measures(table: Table, prevalence: Mapping[str, float]) -> dict[str, Any]:
    return {
        "overall": overall(table),
        "findings": {f: of_finding(table, k, prevalence.get(f)) for k, f in enumerate(table.findings)},
    }


def overall(table: Table) -> dict[str, Any]:
    """Measures over all findings; accuracy and the like only if each case has exactly one finding."""
    whole = ~np.isnan(table.t).any(axis=1)
    table = table if whole.all() else table.subset(whole)
    p, t = table.p, table.t
    rankable = [k for k in range(t.shape[1]) if 0 < t[:, k].sum() < len(t)]

    def measures(w: np.ndarray) -> dict[str, Any]:
        found = {"macro_auc": metrics.macro_auc(p, t, w, rankable), "brier": metrics.brier(p, t, w)}
        if table.exclusive:
            found["accuracy"] = metrics.accuracy(p, t, w)
            found["balanced_accuracy"] = metrics.balanced_accuracy(p, t, w)
            found["macro_f1"] = metrics.macro_f1(p, t, w)
            found["calibration_error"] = metrics.calibration_error(p.max(axis=1), metrics.right(p, t), w)
            found["log_loss"] = metrics.log_loss(p, t, w)
        return found

    return table.intervals(measures) if len(table) else {}


def of_finding(table: Table, k: int, prevalence: float | None = None) -> dict[str, Any]:
    """One finding against the rest: ranking, calibration, and decisions at the threshold of the model."""
    table = table.subset(~np.isnan(table.t[:, k]))
    scores, positive, threshold = table.p[:, k], table.t[:, k] == 1, table.thresholds[:, k]

    def measures(w: np.ndarray) -> dict[str, Any]:
        decided = metrics.decisions(scores, positive, w, threshold)
        slope, intercept = metrics.recalibration(scores, positive, w)
        found = {
            "auc": metrics.auc(scores, positive, w),
            "average_precision": metrics.average_precision(scores, positive, w),
            **decided,
            "brier": metrics.brier(scores[:, None], table.t[:, [k]], w),
            "calibration_error": metrics.calibration_error(scores, positive, w),
            "calibration_slope": slope,
            "calibration_intercept": intercept,
        }
        if prevalence is not None:
            values = metrics.at_prevalence(decided["sensitivity"], decided["specificity"], prevalence)
            found |= {f"{name}_at_prevalence": value for name, value in values.items()}
        return found

    given = {} if prevalence is None else {"prevalence": prevalence}
    middle = float(np.mean(threshold)) if len(threshold) else None
    return {"threshold": middle, "present": int(positive.sum()), **given, **table.intervals(measures)}


def of_group(table: Table) -> dict[str, Any]:
    """Counts and a few measures of one source, view, sex or age band; None for too few cases."""
    if len(table) < FEWEST_IN_GROUP:
        return {**counts(table), "too_few": True}
    found: dict[str, Any] = {}
    if table.exclusive:
        found = table.intervals(lambda w: {"accuracy": metrics.accuracy(table.p, table.t, w)})
    return {
        **counts(table),
        **found,
        "findings": {f: _within(table, k) for k, f in enumerate(table.findings)},
    }


def _within(table: Table, k: int) -> dict[str, Any]:
    scores, positive, threshold = table.p[:, k], table.t[:, k] == 1, table.thresholds[:, k]
    present, absent = int(positive.sum()), int((table.t[:, k] == 0).sum())
    enough = {"auc": min(present, absent), "sensitivity": present, "specificity": absent}
    chosen = [name for name, cases in enough.items() if cases >= FEWEST]

    def measures(w: np.ndarray) -> dict[str, Any]:
        found = metrics.decisions(scores, positive, w, threshold)
        if "auc" in chosen:
            found["auc"] = metrics.auc(scores, positive, w)
        return {name: found[name] for name in chosen}

    values = table.intervals(measures) if chosen else {}
    return {"present": present, "absent": absent, **{name: values.get(name) for name in enough}}


def pairs(table: Table) -> dict[str, Any]:
    """AUC of p(a) against p(b) on the cases with exactly one of both findings."""
    found = {}
    for a, b in itertools.combinations(range(len(table.findings)), 2):
        part = table.subset(table.t[:, a] + table.t[:, b] == 1)
        positive = part.t[:, a] == 1
        if min(positive.sum(), (~positive).sum()) < FEWEST:
            continue
        scores = np.log(part.p[:, a] + 1e-12) - np.log(part.p[:, b] + 1e-12)
        name = f"{table.findings[a]} against {table.findings[b]}"
        ranked = part.intervals(lambda w, s=scores, m=positive: {"auc": metrics.auc(s, m, w)})
        found[name] = {"cases": len(part), **ranked}
    return found


def parts(table: Any, by: str) -> list[tuple[str, Any]]:
    """The parts of a Table, or of a `compare.Pair`, by source, view, sex or age band, where it is known."""
    values = table.groups[by]
    return [(str(name), table.subset(values == name)) for name in np.unique(values) if name]


def _confusion(table: Table) -> dict[str, Any] | None:
    if not table.exclusive:
        return None
    return {"findings": list(table.findings), "counts": metrics.confusion(table.p, table.t)}


def _reported(table: Table) -> dict[str, float]:
    """The shares of cases whose reported finding is right, or is none."""
    right = (table.shown >= 0) & (table.t[np.arange(len(table)), table.shown] == 1)
    return {"right": float(right.mean()), "none": float((table.shown < 0).mean())}


def _not_withheld(table: Table, prevalence: Mapping[str, float], without: int) -> dict[str, Any]:
    """Coverage, and all measures without withheld cases if there are any."""
    kept = table.reasons == ""
    found: dict[str, Any] = {
        "coverage": float(kept.sum() / (len(table) + without)),
        "cases": int(kept.sum()),
        "no_result": without,
        "reasons": dict(sorted(Counter(table.reasons[~kept].tolist()).items())),
        "by_finding": {f: _reasons(table.subset(table.t[:, k] == 1)) for k, f in enumerate(table.findings)},
    }
    if kept.all() or not kept.any():
        return found
    return {**found, **_measures(table.subset(kept), prevalence)}


def _reasons(table: Table) -> dict[str, bootstrap.Interval]:
    """The share of the cases that each reason withholds."""
    options = {"draws": table.draws, "seed": table.seed}
    return {
        str(reason): bootstrap.mean_interval(
            (table.reasons == reason).astype(float), table.patients, **options
        )
        for reason in np.unique(table.reasons)
        if reason
    }
