"""Bootstrap confidence intervals over patients, since images of one patient are not independent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

BLOCK = 2_000_000  # weights in memory at a time
LEVEL = (2.5, 97.5)
Measures = Callable[[np.ndarray], Mapping[str, np.ndarray | float]]
Interval = dict[str, float | None]


def intervals(measures: Measures, patients: Sequence, *, draws: int, seed: int) -> dict[str, Interval]:
    """`{"value", "low", "high"}` (95 %, percentiles of the draws) of each of the `measures`.

    `measures` takes weights (draws, N). Draws with an undefined measure are ignored; if these are half of the
    draws or more, there is no interval.
    """
    found = {name: float(value[0]) for name, value in measures(np.ones((1, len(patients)))).items()}
    drawn: dict[str, list] = {name: [] for name in found}
    for weights in _weights(patients, draws, seed):
        for name, values in measures(weights).items():
            drawn[name].append(values)
    return {
        name: {"value": None if np.isnan(value) else value, **_bounds(drawn[name])}
        for name, value in found.items()
    }


def mean_interval(values: np.ndarray, patients: Sequence, *, draws: int, seed: int) -> Interval:
    """The mean of values (N,) as `intervals` gives it."""

    def mean(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"mean": weights @ values / weights.sum(axis=-1)}

    return intervals(mean, patients, draws=draws, seed=seed)["mean"]


def widened(share: Interval, patients: int) -> Interval:
    """The interval of a share of 0 or 1, where no draw differs: exact, by Clopper and Pearson (1934)."""
    if share["value"] not in (0, 1) or not patients:
        return share
    possible = 1 - 0.025 ** (1 / patients)
    low, high = (0.0, possible) if share["value"] == 0 else (1 - possible, 1.0)
    return {**share, "low": low, "high": high}


def _weights(patients: Sequence, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Weights of the images, (draws, N) in blocks: how often the patient was drawn."""
    names, patient = np.unique(np.asarray(patients), return_inverse=True)
    rng, count = np.random.default_rng(seed), len(names)
    block = max(1, BLOCK // max(len(patient), 1))
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        drawn = rng.integers(0, count, (rows, count)) + count * np.arange(rows)[:, None]
        yield (
            np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)[:, patient].astype(float)
        )


def _bounds(drawn: list) -> Interval:
    values = np.concatenate(drawn) if drawn else np.empty(0)
    known = values[~np.isnan(values)]
    if len(known) * 2 <= len(values):
        return {"low": None, "high": None}
    low, high = np.percentile(known, LEVEL)
    return {"low": float(low), "high": float(high)}
