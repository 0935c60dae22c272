"""Path lengths of simple solids along parallel rays: the geometry of all organs of the phantom.

World coordinates are centimetres: x to the right of the image (the patient's left), y downwards from the
lungs' apices, z forwards to the detector. Rays run along z.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

SOURCE_DISTANCE = 180.0
SAMPLES_PER_PIXEL = 1.4
CORTICAL, MARROW = 0.31, 0.085  # attenuation of bone per cm, above soft tissue

Array = np.ndarray
Interval = tuple[Array, Array]  # where rays enter and leave
Samples = tuple[Array, Array]  # points and their masses


@dataclass(frozen=True)
class Frame:
    """The detector: `rows` x `columns` pixels, `scale` per cm, around the world point `middle`."""

    rows: int
    columns: int
    scale: float
    middle: tuple[float, float]
    roll: float = 0.0
    yaw: float = 0.0

    @cached_property
    def grid(self) -> tuple[Array, Array]:
        """World x and y of every pixel's centre, float32 (rows, columns)."""
        v, u = np.mgrid[: self.rows, : self.columns].astype(np.float32)
        u = (u - (self.columns - 1) / 2) / self.scale
        v = (v - (self.rows - 1) / 2) / self.scale
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        return u * cos + v * sin + self.middle[0], v * cos - u * sin + self.middle[1]

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixel coordinates (column, row) of world points (..., 3): yaw, magnification by depth, roll."""
        x, y, z = np.moveaxis(points.astype(np.float32, copy=False), -1, 0)
        x = x + z * self.yaw
        nearness = 1 - z / SOURCE_DISTANCE
        x, y = x * nearness - self.middle[0], (y - 12) * nearness + 12 - self.middle[1]
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        u, v = x * cos - y * sin, x * sin + y * cos
        return u * self.scale + (self.columns - 1) / 2, v * self.scale + (self.rows - 1) / 2

    def splat(self, points: Array, mass: Array) -> Array:
        """Path length (cm times the mass's density) of point masses (cm^3), spread bilinearly over pixels."""
        u, v = (c.ravel() for c in self.project(points))
        column, row = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
        fu, fv = u - column, v - row
        column, row = column + 1, row + 1
        width, height = self.columns + 2, self.rows + 2
        inside = (column >= 0) & (column < width - 1) & (row >= 0) & (row < height - 1)
        flat = (row * width + column)[inside]
        fu, fv, m = fu[inside], fv[inside], mass.ravel()[inside] * self.scale**2
        total = np.bincount(flat, m * (1 - fu) * (1 - fv), width * height)
        for step, share in ((1, fu * (1 - fv)), (width, (1 - fu) * fv), (width + 1, fu * fv)):
            total[step:] += np.bincount(flat, m * share, width * height)[:-step]
        return total.reshape(height, width)[1:-1, 1:-1].astype(np.float32)


def resample(points: Array, values: Array, step: float) -> tuple[Array, Array]:
    """Points (n, 3) and values (n, k) of a polyline, again at equal steps of about `step` cm."""
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, lengths[-1], max(int(lengths[-1] / step) + 2, 3))
    columns = np.column_stack([points, values])
    out = np.column_stack([np.interp(at, lengths, column) for column in columns.T])
    return out[:, :3].astype(np.float32), out[:, 3:].astype(np.float32)


def strands(frame: Frame, points: Array, radius: Array) -> Array:
    """Path length in cm through round, homogeneous tubes: polylines (tubes, n, 3) with radii (tubes, n)."""
    step = 2.0 * frame.scale  # two samples per pixel, so that bilinear splats leave no ripple
    along = _at_least(np.linalg.norm(np.diff(points, axis=1), axis=-1).sum(axis=1) * step)
    across = _at_least(2 * radius.max(axis=1) * step + 1)
    total = np.zeros((frame.rows, frame.columns), np.float32)
    for n, k in np.unique(np.column_stack([along, across]), axis=0):
        alike = (along == n) & (across == k)
        total += frame.splat(*_strands_alike(points[alike], radius[alike], n, k))
    return total


def _at_least(samples: Array) -> Array:
    """The next power of two, at least 4: few sizes, so that tubes can be processed in batches."""
    return 2 ** np.ceil(np.log2(np.maximum(samples, 4))).astype(int)


def _strands_alike(points: Array, radius: Array, along: int, across: int) -> Samples:
    """Samples of tubes, `along` x `across` for each."""
    knots = np.concatenate([points, radius[..., None]], axis=-1).astype(np.float32)
    at = np.linspace(0, knots.shape[1] - 1, along + 1)
    weights = np.maximum(1 - np.abs(at[:, None] - np.arange(knots.shape[1])), 0).astype(np.float32)
    fine = np.einsum("nk,tkc->tnc", weights, knots)
    ahead, fine = np.diff(fine, axis=1), (fine[:, 1:] + fine[:, :-1]) / 2
    points, radius = fine[..., :3], fine[..., 3]
    ds = np.linalg.norm(ahead[..., :3], axis=-1)
    turning = np.einsum("nk,tkc->tnc", weights, np.gradient(knots[..., :3], axis=1))
    turning = (turning[:, 1:] + turning[:, :-1]) / 2  # bends smoothly at the knots, so that no pleats show
    side = np.stack([-turning[..., 1], turning[..., 0], np.zeros_like(ds)], axis=-1)
    side /= np.linalg.norm(side, axis=-1, keepdims=True) + 1e-6
    offsets = ((np.arange(across, dtype=np.float32) + 0.5) / across * 2 - 1)[:, None]
    samples = points[:, :, None] + side[:, :, None] * (offsets * radius[..., None, None])
    chord = 2 * radius[..., None] * np.sqrt(1 - offsets[:, 0] ** 2)
    return samples, chord * (2 * radius / across * ds)[..., None]


def hollow_bone(
    frame: Frame, points: Array, normal: Array, *, tall: Array, thick: Array, cortex: float, density: float
) -> Samples:
    """Samples of a bone along a curve (n, 3): elliptic section with a dense shell.

    `normal` (n, 3) is the direction of the short axis; `tall` and `thick` (n,) are half-axes in cm; `density`
    is relative.
    """
    values = np.column_stack([normal, tall, thick])
    points, values = resample(points, values, 1 / (SAMPLES_PER_PIXEL * frame.scale))
    normal, tall, thick = values[:, :3], values[:, 3], values[:, 4]
    tangent = np.gradient(points, axis=0)
    ds = np.linalg.norm(tangent, axis=1)
    long_axis = np.cross(tangent, normal)
    long_axis /= np.linalg.norm(long_axis, axis=1, keepdims=True) + 1e-6
    count = int(np.ceil(2 * tall.max() * frame.scale * SAMPLES_PER_PIXEL)) + 2
    offset = ((np.arange(count, dtype=np.float32) + 0.5) / count * 2 - 1)[None, :]
    outer = thick[:, None] * np.sqrt(1 - offset**2)
    inner_tall = np.maximum(tall - cortex, 1e-3)[:, None]
    inner = np.maximum(thick - cortex, 0)[:, None] * np.sqrt(
        np.clip(1 - (offset * tall[:, None] / inner_tall) ** 2, 0, 1)
    )
    area = (2 * tall / count * ds)[:, None]
    shell = density * CORTICAL * (outer - inner) * area
    marrow = density * MARROW * inner * area
    depths = (-(outer + inner) / 2, (outer + inner) / 2, -0.45 * inner, 0.45 * inner)
    base = points[:, None] + long_axis[:, None] * (offset * tall[:, None])[..., None]
    samples = np.stack([base + normal[:, None] * depth[..., None] for depth in depths])
    return samples.reshape(-1, 3), np.stack([shell, shell, marrow, marrow]).ravel()


def ellipsoid(
    x: Array, y: Array, centre: Sequence[float], axes: Sequence[float], turn: float = 0.0
) -> Interval:
    """Where rays enter and leave an ellipsoid (cm), turned by `turn` radians in the image's plane."""
    dx, dy = x - centre[0], y - centre[1]
    cos, sin = math.cos(turn), math.sin(turn)
    u, v = (dx * cos + dy * sin) / axes[0], (dy * cos - dx * sin) / axes[1]
    return interval(centre[2], axes[2], 1 - u * u - v * v)


def interval(middle: Array | float, half: Array | float, squared: Array) -> Interval:
    """middle -/+ half * sqrt(squared); empty (start > end) where `squared` is not positive."""
    root = half * np.sqrt(np.maximum(squared, 0))
    empty = np.where(squared > 0, 0, 1e3).astype(np.float32)
    return (middle - root + empty).astype(np.float32), (middle + root - empty).astype(np.float32)


def length(span: Interval) -> Array:
    return np.maximum(span[1] - span[0], 0)


def free_length(cage: Interval, blocks: Sequence[Interval]) -> Array:
    """Length of `cage` that no interval of `blocks` covers, float32."""
    low, high = cage
    starts = np.stack([np.clip(lo, low, np.maximum(high, low)) for lo, _ in blocks])
    ends = np.stack([np.clip(hi, low, np.maximum(high, low)) for _, hi in blocks])
    covered = np.maximum(ends - starts, 0)
    taken = covered.sum(axis=0)
    several = (covered > 0).sum(axis=0) > 1
    starts, ends = starts[:, several], ends[:, several]
    ends = np.maximum(starts, ends)
    order = np.argsort(starts, axis=0)
    starts, ends = np.take_along_axis(starts, order, 0), np.take_along_axis(ends, order, 0)
    reach, union = starts[0].copy(), np.zeros_like(starts[0])
    for start, end in zip(starts, ends, strict=True):
        union += np.maximum(end - np.maximum(start, reach), 0)
        reach = np.maximum(reach, end)
    taken[several] = union
    return np.maximum(length(cage) - taken, 0)


def cloud(rng: np.random.Generator, shape: tuple[int, int], coarse: float, fine: float) -> Array:
    """Smooth random field, mean 0 and deviation 1, with structure from `coarse` down to `fine` pixels."""
    total, sigma = np.zeros(shape, np.float32), coarse
    while sigma >= max(fine, 0.5):
        step = max(int(sigma / 2), 1)
        small = tuple(side // step + 3 for side in shape)
        noise = ndimage.gaussian_filter(rng.standard_normal(small).astype(np.float32), sigma / step)
        noise = ndimage.zoom(noise, step, order=1)[: shape[0], : shape[1]] if step > 1 else noise
        total += noise[: shape[0], : shape[1]] / (noise.std() + 1e-6) * sigma**0.7
        sigma /= 2
    return (total - total.mean()) / (total.std() + 1e-6)
