"""Images made by formula alone, to learn shapes from before any patient's image (Kataoka et al. 2020).

A category is an iterated function system; its images are its attractor with one of the maps varied.
Systems are drawn as Anderson and Farrell (2022) do it, whose contraction lies in the narrow range that gives
well spread attractors, so that none has to be thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAPS = (2, 8)
CHAINS, BURN_IN, STEPS = 2048, 10, 24
VARIED = 0.2


@dataclass(frozen=True)
class System:
    """Affine maps x -> a @ x + b: `a` (maps, 2, 2), `b` (maps, 2), and the `chance` (maps,) of each."""

    a: np.ndarray
    b: np.ndarray

    @property
    def chance(self) -> np.ndarray:
        size = np.abs(np.linalg.det(self.a)) + 1e-2
        return size / size.sum()


def system(category: int, *, seed: int = 0) -> System:
    """The category's system: the same for the same seed."""
    rng = np.random.default_rng((seed, category))
    count = int(rng.integers(MAPS[0], MAPS[1] + 1))
    least, most = 0.5 * (5 + count), 0.5 * (6 + count)
    while True:
        large = rng.uniform(0, 1, count)
        small = rng.uniform(0, large)
        if least < (large + 2 * small).sum() < most:
            break
    turns = rng.uniform(-np.pi, np.pi, (2, count))
    mirror = np.eye(2) * rng.choice([-1.0, 1.0], (count, 1, 2))
    stretch = np.eye(2) * np.stack([large, small], axis=1)[:, None]
    a = _rotation(turns[0]) @ stretch @ _rotation(turns[1]) @ mirror
    return System(a, rng.uniform(-1, 1, (count, 2)))


def varied(of: System, rng: np.random.Generator) -> System:
    """The system with one of its maps larger or smaller: another image of the same category."""
    a, chosen = of.a.copy(), rng.integers(len(of.a))
    largest = np.linalg.norm(a[chosen], 2)
    a[chosen] *= min(1 + rng.uniform(-VARIED, VARIED), 0.98 / largest)
    return System(a, of.b)


def render(of: System, size: int, rng: np.random.Generator) -> np.ndarray:
    """The attractor as a density, float32 (size, size) in 0..1, the densest at 1, on black."""
    points = np.zeros((CHAINS, 2))
    visited = []
    for step in range(BURN_IN + STEPS):
        maps = rng.choice(len(of.a), CHAINS, p=of.chance)
        points = np.einsum("nij,nj->ni", of.a[maps], points) + of.b[maps]
        if step >= BURN_IN:
            visited.append(points)
    cloud = np.concatenate(visited)
    low, high = np.percentile(cloud, 1, axis=0), np.percentile(cloud, 99, axis=0)
    unit = (cloud - low) / np.maximum(high - low, 1e-6)
    cells = ((0.05 + 0.9 * unit) * size).astype(int)
    cells = cells[((cells >= 0) & (cells < size)).all(axis=1)]
    density = np.bincount(cells[:, 0] * size + cells[:, 1], minlength=size * size).reshape(size, size)
    grey = np.log1p(density)
    return (grey / max(np.percentile(grey, 99.5), 1.0)).clip(0, 1).astype(np.float32)


def _rotation(angle: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
