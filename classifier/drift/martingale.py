"""Whether a stream of cases still looks like a reference sample: a conformal test martingale.

Each new case gets a p-value for each of its scores: its smoothed rank among the reference and all earlier
cases of the round. As long as the cases are exchangeable with the reference, these are independent and
uniform (Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2nd ed. 2022, ch. 8), and a bet
against that cannot be expected to win: by Ville's inequality the capital of a round, which begins with 1,
ever reaches `LIMIT` with a probability of at most 1 / LIMIT, however often it is looked at. The bets are a
composite jumper's (Vovk et al., Retrain or not retrain, COPA 2021) over more kinds of bets; a mean of
martingales is one, so all scores of a chart share one capital and one false-alarm rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LIMIT = 100.0
FALSE_ALARMS = 1 / LIMIT  # at most, a chart and a round, while nothing has changed
ROUND = 1000
LEAST_REFERENCE = 100
DISTANCE = "distance"
JUMPS = (0.001, 0.01, 0.1)
NEIGHBOURS = 5
CLIP = 8.0


@dataclass(frozen=True)
class Reference:
    """What a stream is held against: `calibration` (N, scores) are the scores of cases kept for ranking.

    With more than one number a case, the first score is the distance to the nearest of the cases that were
    kept for that, `fitted` (M, numbers), in units of `spread` (numbers,) around `middle`.
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
    def from_dict(cls, said: Mapping[str, Any]) -> Reference:
        names = tuple(said["names"])
        fitted = np.array(said["fitted"], dtype=float).reshape(-1, len(names))
        calibration = np.array(said["calibration"], dtype=float)
        return cls(names, np.array(said["middle"]), np.array(said["spread"]), fitted, calibration)


@dataclass(frozen=True)
class Course:
    """How a round went: `capital` (T,) after each case, its share of every score at the end.

    `alarm` is the first case at which it reached LIMIT, `since` the first one that seems to be different,
    `leading` the score that won most by then; None where there is no alarm.
    """

    capital: np.ndarray
    by_score: Mapping[str, float]
    alarm: int | None = None
    since: int | None = None
    leading: str | None = None


def fit(sample: np.ndarray, names: Sequence[str], *, seed: int = 0) -> Reference:
    """A reference of cases (N, numbers); raises ValueError for fewer than LEAST_REFERENCE or unknown ones."""
    sample = np.asarray(sample, dtype=float)
    if len(sample) < LEAST_REFERENCE:
        raise ValueError(f"a reference needs at least {LEAST_REFERENCE} cases, not {len(sample)}")
    if sample.shape[1] != len(names) or not np.isfinite(sample).all():
        raise ValueError("every case of a reference needs every number")
    middle, spread = np.median(sample, axis=0), np.ones(len(names))
    if len(names) == 1:
        return Reference(tuple(names), middle, spread, np.empty((0, 1)), sample)
    order = np.random.default_rng(seed).permutation(len(sample))
    measured, ranked = sample[order[: len(order) // 2]], sample[order[len(order) // 2 :]]
    middle, spread = np.median(measured, axis=0), measured.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    kept = _scaled(measured, middle, spread)
    bare = Reference(tuple(names), middle, spread, kept, np.empty((0, len(names) + 1)))
    return Reference(tuple(names), middle, spread, kept, bare.scores(ranked))


def watch(reference: Reference, stream: np.ndarray, draws: np.ndarray) -> Course:
    """The course of a round of cases (T, numbers), in their order; `draws` (T,) in 0..1 break their ties.

    The draws are each case's own, for ever, so that the same cases always have the same course.
    """
    stream = np.asarray(stream, dtype=float).reshape(-1, len(reference.names))
    if not len(stream):
        return Course(np.empty(0), dict.fromkeys(reference.score_names, 1.0))
    ranks = p_values(reference.calibration, reference.scores(stream), draws)
    paths = capitals(ranks)
    weights = _weights(len(reference.score_names), distance=len(reference.fitted) > 0)
    with np.errstate(over="ignore"):
        capital = np.exp(np.minimum(paths, 600.0)) @ weights
    reached = np.flatnonzero(capital >= LIMIT)
    alarm = int(reached[0]) if len(reached) else None
    at = len(stream) - 1 if alarm is None else alarm
    by_score = dict(zip(reference.score_names, np.exp(np.minimum(paths[at], 600.0)).tolist(), strict=True))
    if alarm is None:
        return Course(capital, by_score)
    first = int(np.argmax(paths[alarm] + np.log(weights)))
    since = _turn(ranks[: alarm + 1, first])
    return Course(capital, by_score, alarm, since, reference.score_names[first])


def p_values(calibration: np.ndarray, stream: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Smoothed rank of each score (T, S) among those of the calibration (N, S) and of the stream so far."""
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
    """Log of the capital (T, S) that the composite jumper has after each of the p-values (T, S)."""
    won = _bets(_inside(ranks))
    jumps = np.array(JUMPS)[:, None, None]
    kinds = won.shape[-1]
    held = np.full((len(JUMPS), ranks.shape[1], kinds), 1 / kinds)
    logs = np.zeros((len(JUMPS), ranks.shape[1]))
    course = np.empty((len(ranks), len(JUMPS) + 1, ranks.shape[1]))
    course[:, -1] = 0.0  # a part of the capital that is never bet
    for step, gains in enumerate(won):
        held = ((1 - jumps) * held + jumps / kinds) * gains
        total = held.sum(axis=-1)
        held, logs = held / total[..., None], logs + np.log(total)
        course[step, :-1] = logs
    top = course.max(axis=1)
    return top + np.log(np.exp(course - top[:, None]).mean(axis=1))


def _bets(ranks: np.ndarray) -> np.ndarray:
    """What each kind of bet makes of 1 at these p-values (..., kinds): each is 1 on the mean over 0..1."""
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
    """Shares of the capital: half for the distance, the rest evenly."""
    if not distance:
        return np.full(scores, 1 / scores)
    return np.array([0.5, *[0.5 / (scores - 1)] * (scores - 1)])


def _turn(ranks: np.ndarray) -> int:
    """The case (T,) from which on one kind of bet has won most: the change-point of CUSUM (Page 1954)."""
    won = np.log(_bets(_inside(ranks)))
    summed = np.concatenate([np.zeros((1, won.shape[1])), won.cumsum(axis=0)])[:-1]
    gained = summed[-1] + won[-1] - summed
    return int(np.argmax(gained.max(axis=1)))


def _inside(ranks: np.ndarray) -> np.ndarray:
    return np.clip(ranks, 1e-9, 1 - 1e-9)


def _scaled(cases: np.ndarray, middle: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return np.clip((cases - middle) / spread, -CLIP, CLIP)


def _distances(scaled: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Distance of each case to its NEIGHBOURS-th nearest of the fitted ones."""
    squares = (scaled**2).sum(axis=1)[:, None] + (fitted**2).sum(axis=1)[None, :] - 2 * scaled @ fitted.T
    near = min(NEIGHBOURS, len(fitted)) - 1
    return np.sqrt(np.maximum(np.partition(squares, near, axis=1)[:, near], 0.0))
