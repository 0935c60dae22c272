"""Compares two models on the same images: all measures of both and their difference, by paired bootstrap.

All cases count, including withheld ones, so that abstaining improves no measure used for a decision. The
coverage and the measures without withheld cases (`not_withheld`) are reported as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from classifier.contract import ModelSpec
from classifier.evaluation import bootstrap, metrics
from classifier.evaluation.predictions import Case
from classifier.evaluation.report import FEWEST, FEWEST_IN_GROUP, groups_of, parts

SIDES = ("candidate", "active")
GROUPS = ("source", "view", "sex", "age")
CHANCE_DRAWS = 200
Measure = Callable[[int, np.ndarray], Mapping[str, metrics.Measured]]


@dataclass(frozen=True)
class ModelPredictions:
    """The predictions of a model on a manifest, and the images without one, with the reasons."""

    spec: ModelSpec
    cases: Sequence[Case]
    without: Mapping[str, str]


@dataclass(frozen=True)
class Pair:
    """The images with predictions of all sides, and the findings that all sides have.

    `p` (sides, N, findings), `t` (N, findings), `thresholds` (sides, findings); `shown` (sides, N) is the
    column of the reported finding, -1 for none or one that is not shared; `kept` (sides, N): not withheld.
    """

    findings: tuple[str, ...]
    p: np.ndarray
    t: np.ndarray
    thresholds: np.ndarray
    shown: np.ndarray
    kept: np.ndarray
    patients: np.ndarray
    groups: Mapping[str, np.ndarray]
    draws: int = 1000
    seed: int = 0

    def __len__(self) -> int:
        return len(self.t)

    @property
    def sides(self) -> range:
        return range(len(self.p))

    def subset(self, index: np.ndarray) -> Pair:
        return replace(
            self,
            p=self.p[:, index],
            t=self.t[index],
            shown=self.shown[:, index],
            kept=self.kept[:, index],
            patients=self.patients[index],
            groups={name: values[index] for name, values in self.groups.items()},
        )

    def measured(self, measure: Measure) -> dict[str, dict[str, Any]]:
        """Each measure by side and as `difference` (candidate - active), with 95 % intervals.

        `measure` takes a side and weights (draws, N).
        """

        def both(w: np.ndarray) -> dict[str, metrics.Measured]:
            by_side = [measure(side, w) for side in self.sides]
            found = {
                (SIDES[side], name): value for side in self.sides for name, value in by_side[side].items()
            }
            if len(by_side) == 2:
                found |= {
                    ("difference", name): value - by_side[1][name] for name, value in by_side[0].items()
                }
            return found

        found: dict[str, dict[str, Any]] = {}
        intervals = bootstrap.intervals(both, self.patients, draws=self.draws, seed=self.seed)
        for (side, name), interval in intervals.items():
            found.setdefault(name, dict.fromkeys((*SIDES, "difference")))[side] = interval
        return found


def compare(
    candidate: ModelPredictions, active: ModelPredictions | None = None, *, draws: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """The comparison as JSON; the values of `active` are None without an active model.

    Raises ValueError if the models share no finding, or no labelled image with predictions of both.
    """
    sides = [candidate] if active is None else [candidate, active]
    pair = paired(sides, draws=draws, seed=seed)
    counts = {SIDES[i]: len(side.without) for i, side in enumerate(sides)}
    return {
        "findings": list(pair.findings),
        "lost_findings": [] if active is None else _missing(active.spec, candidate.spec),
        "new_findings": [] if active is None else _missing(candidate.spec, active.spec),
        "cases": len(pair),
        "patients": len(set(pair.patients.tolist())),
        "no_result": counts,
        "all": _measures(pair, np.ones_like(pair.kept)),
        "coverage": {SIDES[i]: float(pair.kept[i].mean()) for i in pair.sides},
        "not_withheld": _measures(pair, pair.kept),
        "calibration_by_chance": by_chance(pair),
        "groups": {by: dict(_groups(pair, by)) for by in GROUPS},
        **_changes(candidate, active),
    }


def paired(sides: Sequence[ModelPredictions], *, draws: int = 1000, seed: int = 0) -> Pair:
    findings = tuple(f for f in sides[0].spec.findings if all(f in side.spec.findings for side in sides))
    if not findings:
        raise ValueError("the models share no finding")
    by_image = [{case.row.image: case for case in side.cases if case.row.findings} for side in sides]
    images = [image for image in by_image[0] if all(image in cases for cases in by_image)]
    if not images:
        raise ValueError("no image with a known finding has a prediction of both models")
    rows = [by_image[0][image].row for image in images]
    predictions = [[cases[image].prediction for image in images] for cases in by_image]
    column = {finding: k for k, finding in enumerate(findings)}
    return Pair(
        findings=findings,
        p=np.array([[[one.probabilities[f] for f in findings] for one in side] for side in predictions]),
        t=np.array([[float(f in row.findings) for f in findings] for row in rows]),
        thresholds=np.array([[side.spec.threshold(f) for f in findings] for side in sides]),
        shown=np.array([[column.get(one.finding, -1) for one in side] for side in predictions]),
        kept=np.array([[not one.withheld for one in side] for side in predictions]),
        patients=np.array([row.patient for row in rows]),
        groups=groups_of(rows),
        draws=draws,
        seed=seed,
    )


def _measures(pair: Pair, counted: np.ndarray) -> dict[str, Any]:
    """Overall and by finding, over the `counted` (sides, N) cases of each side."""
    rankable = [k for k in range(pair.t.shape[1]) if 0 < pair.t[:, k].sum() < len(pair)]

    def overall(side: int, w: np.ndarray) -> dict[str, metrics.Measured]:
        w, p = w * counted[side], pair.p[side]
        right = pair.t[np.arange(len(pair)), pair.shown[side]] * (pair.shown[side] >= 0)
        errors = [metrics.calibration_error(p[:, k], pair.t[:, k], w) for k in range(p.shape[1])]
        return {
            "macro_auc": metrics.macro_auc(p, pair.t, w, rankable),
            "brier": metrics.brier(p, pair.t, w),
            "calibration_error": np.mean(errors, axis=0),
            "reported_right": metrics.ratio(w @ right, w.sum(axis=-1)),
        }

    return {
        "overall": pair.measured(overall),
        "findings": {f: _of_finding(pair, k, counted) for k, f in enumerate(pair.findings)},
    }


def _of_finding(pair: Pair, k: int, counted: np.ndarray) -> dict[str, Any]:
    positive = pair.t[:, k] == 1

    def measure(side: int, w: np.ndarray) -> dict[str, metrics.Measured]:
        w, scores = w * counted[side], pair.p[side][:, k]
        decided = metrics.decisions(scores, positive, w, pair.thresholds[side, k])
        return {
            "auc": metrics.auc(scores, positive, w),
            "sensitivity": decided["sensitivity"],
            "specificity": decided["specificity"],
            "brier": metrics.brier(scores[:, None], pair.t[:, [k]], w),
            "calibration_error": metrics.calibration_error(scores, pair.t[:, k], w),
        }

    own = {SIDES[i]: float(pair.thresholds[i, k]) for i in pair.sides}
    return {"present": int(positive.sum()), "thresholds": own, **pair.measured(measure)}


def by_chance(pair: Pair) -> float:
    """The 95th percentile of the calibration error of a perfectly calibrated model on this test part.

    With few cases it is far from 0; a lower limit would reject models because the test part is small.
    """
    rng, p, ones = np.random.default_rng(pair.seed), pair.p[0], np.ones(len(pair))
    drawn = [
        np.mean([metrics.calibration_error(p[:, k], labels[:, k], ones) for k in range(p.shape[1])])
        for labels in (rng.random((CHANCE_DRAWS, *p.shape)) < p).astype(float)
    ]
    return float(np.percentile(drawn, 95))


def _groups(pair: Pair, by: str):
    for name, part in parts(pair, by):
        facts = {"cases": len(part), "patients": len(set(part.patients.tolist()))}
        if len(part) < FEWEST_IN_GROUP:
            yield name, {**facts, "too_few": True, "findings": {}}
        else:
            findings = {f: _within(part, k) for k, f in enumerate(part.findings)}
            yield name, {**facts, "too_few": False, "findings": findings}


def _within(part: Pair, k: int) -> dict[str, Any]:
    positive = part.t[:, k] == 1
    present, absent = int(positive.sum()), int((~positive).sum())
    if min(present, absent) < FEWEST:
        return {"present": present, "absent": absent, "auc": None}
    ranked = part.measured(lambda side, w: {"auc": metrics.auc(part.p[side][:, k], positive, w)})
    return {"present": present, "absent": absent, **ranked}


def _changes(candidate: ModelPredictions, active: ModelPredictions | None) -> dict[str, Any]:
    """The images, labelled or not, for which the reported finding or the withholding differs."""
    before = {case.row.image: case.prediction for case in active.cases} if active else {}
    changes = []
    for case in candidate.cases:
        old, new = before.get(case.row.image), case.prediction
        if old is None or (old.finding, old.withheld) == (new.finding, new.withheld):
            continue
        changes.append(
            {
                "image": case.row.image,
                "ground_truth": list(case.row.findings or ()),
                "from": {"finding": old.finding, "withheld": old.withheld, "p": _shown(old)},
                "to": {"finding": new.finding, "withheld": new.withheld, "p": _shown(new)},
            }
        )
    return {"compared": sum(case.row.image in before for case in candidate.cases), "changes": changes}


def _shown(prediction: Any) -> float | None:
    return round(prediction.probabilities[prediction.finding], 4) if prediction.finding else None


def _missing(these: ModelSpec, those: ModelSpec) -> list[str]:
    return [finding for finding in these.findings if finding not in those.findings]
