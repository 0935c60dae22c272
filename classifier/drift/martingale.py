"""Drift detection: a conformal test martingale on a stream of cases, against a baseline sample.

Each new case gets a p-value for each of its scores: its smoothed rank among the baseline and all earlier
cases of the run. While the cases are exchangeable with the baseline, these are independent and uniform (Vovk,
Gammerman, Shafer, Algorithmic Learning in a Random World, 2nd ed. 2022, ch. 8), and no strategy gains on
average: by Ville's inequality, the martingale of a run, which starts at 1, ever reaches `LIMIT` with
probability at most 1 / LIMIT, however often it is checked. The strategy is the composite jumper (Vovk et al.,
Retrain or not retrain, COPA 2021) with more gain functions; since a mean of martingales is a martingale, all
scores of a chart share one false-alarm rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import KDTree

LIMIT = 100.0
FALSE_ALARMS = 1 / LIMIT  # upper bound per chart and run without drift
ROUND = 1000
MIN_BASELINE = 100
DISTANCE = "distance"
JUMPS = (0.001, 0.01, 0.1)
NEIGHBOURS = 5
CLIP = 8.0


@dataclass(frozen=True)
class Baseline:
    """The sample that a stream is compared with: `calibration` (N, scores) are the scores for ranking.

    With several numbers per case, the first score is the distance to the nearest of other baseline cases,
    `fitted` (M, numbers), in units of `spread` (numbers,) around `middle`.
    """

    names: tuple[str, ...]
    middle: np.ndarray
    spread: np.ndarray
    fitted: np.ndarray
    calibration: np.ndarray

    @property
    def score_names(self) -> tuple[str, ...]:
        return (DISTANCE, *self.names) if len(self.fitted) else self.names

    def scores(self, cases: np.ndarray) -> np.ndarray:
        """Cases (T, numbers) to their scores (T, scores)."""
        if not len(self.fitted):
            return cases
        scaled = _scaled(cases, self.middle, self.spread)
        return np.column_stack([_distances(scaled, self.fitted), cases])

    def as_dict(self) -> dict[str, Any]:
        arrays = ("middle", "spread", "fitted", "calibration")
        return {"names": list(self.names), **{name: getattr(self, name).tolist() for name in arrays}}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Baseline:
        names = tuple(raw["names"])
        fitted = np.array(raw["fitted"], dtype=float).reshape(-1, len(names))
        calibration = np.array(raw["calibration"], dtype=float)
        return cls(names, np.array(raw["middle"]), np.array(raw["spread"]), fitted, calibration)


@dataclass(frozen=True)
class Trajectory:
    """The course of a run: `capital` (T,), the value of the martingale after each case, and of each score's.

    `alarm` is the first case at which it reached LIMIT, `since` the estimated case of the change, `leading`
    the score with the largest gain; None without an alarm.
    """

    capital: np.ndarray
    by_score: Mapping[str, float]
    alarm: int | None = None
    since: int | None = None
    leading: str | None = None


def fit_baseline(sample: np.ndarray, names: Sequence[str], *, seed: int = 0) -> Baseline:
    """A baseline from cases (N, numbers). Raises ValueError for too few cases or missing numbers."""
    sample = np.asarray(sample, dtype=float)
    if len(sample) < MIN_BASELINE:
        raise ValueError(f"a baseline needs at least {MIN_BASELINE} cases, not {len(sample)}")
    if sample.shape[1] != len(names) or not np.isfinite(sample).all():
        raise ValueError("a baseline case has missing or non-finite numbers")
    middle, spread = np.median(sample, axis=0), np.ones(len(names))
    if len(names) == 1:
        return Baseline(tuple(names), middle, spread, np.empty((0, 1)), sample)
    order = np.random.default_rng(seed).permutation(len(sample))
    measured, ranked = sample[order[: len(order) // 2]], sample[order[len(order) // 2 :]]
    middle, spread = np.median(measured, axis=0), measured.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    kept = _scaled(measured, middle, spread)
    bare = Baseline(tuple(names), middle, spread, kept, np.empty((0, len(names) + 1)))
    return Baseline(tuple(names), middle, spread, kept, bare.scores(ranked))


def run(baseline: Baseline, stream: np.ndarray, draws: np.ndarray) -> Trajectory:
    """The path of the martingale for cases (T, numbers) in order; `draws` (T,) in 0..1 break ties.

    Each case keeps its draw, so that the same cases always give the same path.
    """
    stream = np.asarray(stream, dtype=float).reshape(-1, len(baseline.names))
    if not len(stream):
        return Trajectory(np.empty(0), dict.fromkeys(baseline.score_names, 1.0))
    ranks = p_values(baseline.calibration, baseline.scores(stream), draws)
    paths = capitals(ranks)
    weights = _weights(len(baseline.score_names), distance=len(baseline.fitted) > 0)
    with np.errstate(over="ignore"):
        capital = np.exp(np.minimum(paths, 600.0)) @ weights
    reached = np.flatnonzero(capital >= LIMIT)
    alarm = int(reached[0]) if len(reached) else None
    at = len(stream) - 1 if alarm is None else alarm
    by_score = dict(zip(baseline.score_names, np.exp(np.minimum(paths[at], 600.0)).tolist(), strict=True))
    if alarm is None:
        return Trajectory(capital, by_score)
    first = int(np.argmax(paths[alarm] + np.log(weights)))
    since = _change_point(ranks[: alarm + 1, first])
    return Trajectory(capital, by_score, alarm, since, baseline.score_names[first])


def p_values(calibration: np.ndarray, stream: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Smoothed rank of each score (T, S) among the calibration scores (N, S) and the stream so far."""
    ranks = np.empty(stream.shape)
    before = np.tri(len(stream), k=-1, dtype=bool)
    for column in range(stream.shape[1]):
        scores, known = stream[:, column], np.sort(calibration[:, column])
        above = len(known) - np.searchsorted(known, scores, side="right")
        same = len(known) - above - np.searchsorted(known, scores, side="left")
        above = above + (before & (scores[None, :] > scores[:, None])).sum(axis=1)
        same = same + (before & (scores[None, :] == scores[:, None])).sum(axis=1)
        ranks[:, column] = (above + draws * (same + 1)) / (len(known) + np.arange(len(scores)) + 1)
    return ranks


def capitals(ranks: np.ndarray) -> np.ndarray:
    """Log of the martingale (T, S) of the composite jumper after each of the p-values (T, S)."""
    won = _gains(_inside(ranks))
    jumps = np.array(JUMPS)[:, None, None]
    kinds = won.shape[-1]
    held = np.full((len(JUMPS), ranks.shape[1], kinds), 1 / kinds)
    logs = np.zeros((len(JUMPS), ranks.shape[1]))
    path = np.empty((len(ranks), len(JUMPS) + 1, ranks.shape[1]))
    path[:, -1] = 0.0  # a constant component
    for step, gains in enumerate(won):
        held = ((1 - jumps) * held + jumps / kinds) * gains
        total = held.sum(axis=-1)
        held, logs = held / total[..., None], logs + np.log(total)
        path[step, :-1] = logs
    top = path.max(axis=1)
    return top + np.log(np.exp(path - top[:, None]).mean(axis=1))


def _gains(ranks: np.ndarray) -> np.ndarray:
    """The factor of each gain function at these p-values (..., kinds); each has mean 1 over 0..1."""
    low, high = ranks, 1 - ranks
    return np.stack(
        [
            np.ones_like(ranks),
            1 + 1.5 * (0.5 - ranks),
            1 + 1.5 * (ranks - 0.5),
            0.5 * low**-0.5,
            0.5 * high**-0.5,
            0.2 * low**-0.8,
        ],
        axis=-1,
    )


def _weights(scores: int, *, distance: bool) -> np.ndarray:
    """Initial weights of the scores: half for the distance, the rest evenly."""
    if not distance:
        return np.full(scores, 1 / scores)
    return np.array([0.5, *[0.5 / (scores - 1)] * (scores - 1)])


def _change_point(ranks: np.ndarray) -> int:
    """The case since which one gain function has gained most: the change point of CUSUM (Page 1954)."""
    won = np.log(_gains(_inside(ranks)))
    summed = np.concatenate([np.zeros((1, won.shape[1])), won.cumsum(axis=0)])[:-1]
    gained = summed[-1] + won[-1] - summed
    return int(np.argmax(gained.max(axis=1)))


def _inside(ranks: np.ndarray) -> np.ndarray:
    return np.clip(ranks, 1e-9, 1 - 1e-9)


def _scaled(cases: np.ndarray, middle: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return np.clip((cases - middle) / spread, -CLIP, CLIP)


def _distances(scaled: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Distance of each case to the NEIGHBOURS-th nearest of the fitted ones."""
    nearest = KDTree(fitted).query(scaled, k=[min(NEIGHBOURS, len(fitted))])[0]
    return nearest[:, 0]
