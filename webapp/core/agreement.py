"""Agreement of readers beyond chance: Cohen's kappa for two, Fleiss' for several, with bootstrap intervals.

Both depend on the images only through the frequency of each pattern of labels, so the bootstrap draws those.
None where all labels are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
SEED = 20261126
SHARE = (2.5, 97.5)
LEAST_DEFINED = 0.5
LEAST_IMAGES = 10


@dataclass(frozen=True)
class Kappa:
    """`value` with its 95 % interval, over `images`; `observed` is the plain share of agreement.

    A few images have no interval: a bootstrap of them would look surer than it is.
    """

    value: float | None
    low: float | None
    high: float | None
    observed: float | None
    images: int


def cohen(pairs: Sequence[tuple[Hashable, Hashable]]) -> Kappa:
    """Cohen (1960): two readers' labels of each image."""
    words = _numbered(word for pair in pairs for word in pair)
    counts = Counter((words[one], words[other]) for one, other in pairs)
    cells = np.array(list(counts), dtype=int).reshape(-1, 2)
    return _with_interval(list(counts.values()), lambda n: _cohen(n, cells, len(words)))


def fleiss(images: Sequence[Sequence[Hashable]]) -> Kappa:
    """Fleiss (1971): the labels of equally many readers, whoever they are, of each image.

    Raises ValueError where the numbers of readers differ, or one reader alone is given.
    """
    sizes = {len(labels) for labels in images}
    if len(sizes) > 1 or sizes & {0, 1}:
        raise ValueError("each image needs the same number of readers, two at least")
    words = _numbered(word for labels in images for word in labels)
    counts = Counter(tuple(sorted(words[word] for word in labels)) for labels in images)
    table = np.array([np.bincount(pattern, minlength=len(words)) for pattern in counts], dtype=float)
    table = table.reshape(len(counts), len(words))
    return _with_interval(list(counts.values()), lambda n: _fleiss(n, table))


def _numbered(words: Iterable[Hashable]) -> dict[Hashable, int]:
    return {word: number for number, word in enumerate(sorted(set(words), key=str))}


def _cohen(n: np.ndarray, cells: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
    """Kappa and observed agreement for each row of `n`, the numbers of images in each cell."""
    shares = n / n.sum(axis=1, keepdims=True)
    observed = shares[:, cells[:, 0] == cells[:, 1]].sum(axis=1)
    chance = np.zeros(len(n))
    for word in range(words):
        first, second = (shares[:, cells[:, side] == word].sum(axis=1) for side in (0, 1))
        chance += first * second
    return _beyond(observed, chance), observed


def _fleiss(n: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same from `table`: for each pattern, how many readers gave each label."""
    readers = table[0].sum()
    shares = n / n.sum(axis=1, keepdims=True)
    within = ((table**2).sum(axis=1) - readers) / (readers * (readers - 1))
    observed = shares @ within
    chance = ((shares @ (table / readers)) ** 2).sum(axis=1)
    return _beyond(observed, chance), observed


def _beyond(observed: np.ndarray, chance: np.ndarray) -> np.ndarray:
    room = 1 - chance
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(room > 1e-12, (observed - chance) / room, np.nan)


def _with_interval(counts: list[int], kappas: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Kappa:
    images = sum(counts)
    if not images:
        return Kappa(None, None, None, None, 0)
    value, observed = (float(numbers[0]) for numbers in kappas(np.array([counts], dtype=float)))
    if np.isnan(value):
        return Kappa(None, None, None, observed, images)
    if images < LEAST_IMAGES:
        return Kappa(value, None, None, observed, images)
    drawn = np.random.default_rng(SEED).multinomial(images, np.array(counts) / images, size=DRAWS)
    drawn = kappas(drawn.astype(float))[0]
    defined = drawn[~np.isnan(drawn)]
    if len(defined) < LEAST_DEFINED * DRAWS:
        return Kappa(value, None, None, observed, images)
    low, high = (float(bound) for bound in np.percentile(defined, SHARE))
    return Kappa(value, low, high, observed, images)
