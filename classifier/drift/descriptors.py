"""Descriptors of an image for drift monitoring, from which the image cannot be reconstructed.

Pixel statistics of the working image, and a random projection of the pooled features of the classifier.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

PIXEL_NAMES = (
    *("level_p01", "level_p05", "level_p25", "level_p50", "level_p75", "level_p95", "level_p99"),
    *("brightness", "contrast", "black_share", "white_share", "fine_detail", "coarse_detail", "grain"),
    *("shape", "size", "border", "centre", "left_right", "top_bottom"),
)
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
FEATURES = 24
FULL = 65_535.0
BINS = 4096
COARSE_SIDE = 64
EVERY = 4
DIGITS = 5


@dataclass(frozen=True)
class Descriptors:
    """`pixels` in the order of PIXEL_NAMES; `features`: FEATURES numbers, comparable for one model only."""

    pixels: tuple[float, ...]
    features: tuple[float, ...]


def describe(working: np.ndarray, pooled: np.ndarray) -> Descriptors:
    """Descriptors of a working image (H, W) uint16 with finite pooled features (C,)."""
    return Descriptors(_short(pixel_statistics(working)), _short(project(pooled)))


def pixel_statistics(working: np.ndarray) -> np.ndarray:
    """The PIXEL_NAMES of an image (H, W) uint16, float64; finite for constant images too.

    Levels are relative to the full range; detail is relative to the contrast, on every fourth row.
    """
    shares = np.bincount(working.ravel() >> 4, minlength=BINS) / working.size
    middles = (np.arange(BINS) + 0.5) / BINS
    mean = float(shares @ middles)
    spread = max(float(np.sqrt(shares @ (middles - mean) ** 2)), 1e-6)
    rows, columns = working.shape
    lines = working[::EVERY].astype(np.float32) / np.float32(FULL)
    coarse = _blocks(working)
    left, right = np.array_split(coarse, 2, axis=1)
    top, bottom = np.array_split(coarse, 2, axis=0)
    return np.array(
        [
            *(np.searchsorted(np.cumsum(shares), np.array(PERCENTILES) / 100) / BINS),
            mean,
            spread,
            float(shares[: BINS // 100].sum()),
            float(shares[-(BINS // 100) :].sum()),
            _size(np.diff(lines, axis=1)) / spread,
            _size(np.diff(coarse, axis=1)) / spread,
            _size(np.diff(lines, n=2, axis=1)) / spread,
            np.log(columns / rows),
            np.log2(max(rows, columns)),
            (_border(coarse) - mean) / spread,
            (_centre(coarse) - mean) / spread,
            (left.mean() - right.mean()) / spread if right.size else 0.0,
            (top.mean() - bottom.mean()) / spread if bottom.size else 0.0,
        ],
        dtype=np.float64,
    )


def project(pooled: np.ndarray) -> np.ndarray:
    """Projection of features (C,) or (N, C) on FEATURES fixed random axes, which roughly keeps distances.

    Random signs (Achlioptas 2003), the same for all models with C features.
    """
    return np.asarray(pooled, dtype=np.float64) @ _signs(pooled.shape[-1])


@cache
def _signs(channels: int) -> np.ndarray:
    # The legacy generator guarantees a stable stream, so that stored numbers remain comparable.
    draws = np.random.RandomState(channels).randint(0, 2, size=(channels, FEATURES))
    return (2.0 * draws - 1.0) / np.sqrt(FEATURES)


def _blocks(working: np.ndarray) -> np.ndarray:
    """The image, 0 to 1, as means of at most COARSE_SIDE blocks per side."""
    rows, columns = (np.linspace(0, side, min(side, COARSE_SIDE) + 1).astype(int) for side in working.shape)
    sums = np.add.reduceat(
        np.add.reduceat(working, rows[:-1], axis=0, dtype=np.float32), columns[:-1], axis=1
    )
    return sums / (np.diff(rows)[:, None] * np.diff(columns)[None, :]) / FULL


def _size(steps: np.ndarray) -> float:
    return float(np.abs(steps).mean()) if steps.size else 0.0


def _border(coarse: np.ndarray) -> float:
    edge = max(1, min(coarse.shape) // 16)
    inner = coarse[edge:-edge, edge:-edge]
    return float((coarse.sum() - inner.sum()) / max(coarse.size - inner.size, 1))


def _centre(coarse: np.ndarray) -> float:
    rows, columns = (max(side // 3, 0) for side in coarse.shape)
    return float(coarse[rows : max(2 * rows, rows + 1), columns : max(2 * columns, columns + 1)].mean())


def _short(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)
