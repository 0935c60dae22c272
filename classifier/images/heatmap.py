"""Draws heatmaps over images; without torch, so that the web process can use it for reports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

# Inferno (S. van der Walt, N. Smith, CC0) at 33 stops, as in colours.js of the viewer.
INFERNO = np.frombuffer(
    bytes.fromhex(
        "000004 040312 0b0724 150b37 210c4a 2f0a5b 3d0965 4a0c6b 57106e 64156e 71196e "
        "7d1e6d 8a226a 972766 a32c61 b0315b bc3754 c73e4c d24644 db503b e45a31 eb6628 "
        "f1731d f68013 f98e09 fb9d07 fcac11 fbbc21 f9cb35 f5db4c f2ea69 f3f68a fcffa4"
    ),
    dtype=np.uint8,
).reshape(-1, 3)

DASH, LIGHT = 6, 0xBB  # as in the viewer's heat.js: pixels, grey


# Above full strength: lines along the longer side, their share, and the map's opacity between them.
SATURATED = 1 + 1e-9
HATCH_LINES, HATCH_SHARE, GAP_OPACITY = 48, 0.3, 0.25


def inferno(values: np.ndarray) -> np.ndarray:
    """RGB in 0..1 of values in 0..1, in one more axis."""
    places = np.linspace(0, 1, len(INFERNO))
    return np.stack([np.interp(values, places, channel) for channel in INFERNO.T], axis=-1) / 255


def draw_heatmap(
    preview: np.ndarray,
    grid: np.ndarray,
    affine: Sequence[float],
    original: tuple[int, int],
    *,
    opacity: float = 0.6,
) -> np.ndarray:
    """The preview (h, w) uint8 of an `original` (rows, columns) with the heatmap over it, as RGB.

    `grid` is relative to full strength; `affine` is that of `contract.Cam`.
    """
    drawn = overlay(preview, sample_grid(grid, affine, original, preview.shape), opacity=opacity)
    return draw_frame(drawn, grid.shape, affine, original) if opacity else drawn


def sample_grid(
    grid: np.ndarray, affine: Sequence[float], original: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    """The grid, interpolated at the pixels of an image of `shape` that shows the whole `original`.

    The map ends half a cell beyond the outermost cell centres; it is 0 outside.
    """
    to_grid = np.linalg.inv(np.array([affine[:3], affine[3:], (0, 0, 1)]))
    y, x = ((np.arange(n) + 0.5) * full / n - 0.5 for n, full in zip(shape, original, strict=True))
    points = np.stack([*np.broadcast_arrays(x[None, :], y[:, None], 1.0)], axis=-1) @ to_grid.T
    unit = (2 * points[..., :2] + 1) / np.array(grid.shape[::-1]) - 1
    values = np.asarray(grid, dtype=np.float64)
    sampled = ndimage.map_coordinates(values, (points[..., 1], points[..., 0]), order=1, mode="nearest")
    return np.where((np.abs(unit) <= 1 + 1e-9).all(axis=-1), sampled, 0.0)


def overlay(preview: np.ndarray, strength: np.ndarray, *, opacity: float = 0.6) -> np.ndarray:
    """The preview (h, w) uint8 under a map (h, w), 1 at full strength, which also sets the opacity; RGB.

    Above full strength the map is hatched: between the lines the anatomy shows through.
    """
    above = (strength > SATURATED) & ~hatch(strength.shape)
    strength = np.clip(strength, 0, 1)
    alpha = (opacity * np.where(above, GAP_OPACITY, strength))[..., None]
    grey = preview[..., None] / 255
    return np.rint(255 * ((1 - alpha) * grey + alpha * inferno(strength))).astype(np.uint8)


def hatch(shape: tuple[int, ...]) -> np.ndarray:
    """The diagonal lines (h, w) of the hatch; static/js/scan/overlay.js draws the same."""
    height, width = shape
    places = (np.arange(height)[:, None] + 0.5 + np.arange(width) + 0.5) / max(height, width)
    lines: np.ndarray = places * HATCH_LINES % 1 < HATCH_SHARE
    return lines


def analysed_area(
    cells: tuple[int, int], affine: Sequence[float], original: tuple[int, int]
) -> np.ndarray | None:
    """The area of the `original` that the model analysed, from a map of `cells` (rows, columns): (top, left)
    and (bottom, right) pixel edges. None if it is the whole image.
    """
    corners = np.array([(-0.5, -0.5, 1), (cells[1] - 0.5, cells[0] - 0.5, 1)])
    part = np.sort(corners @ np.array([affine[:3], affine[3:]]).T + 0.5, axis=0)[:, ::-1]
    return None if (part[1] - part[0] > np.array(original) - 1).all() else part


def draw_frame(
    drawn: np.ndarray, cells: tuple[int, int], affine: Sequence[float], original: tuple[int, int]
) -> np.ndarray:
    """The image (h, w, 3) uint8 with a dashed frame around the analysed area, if that is not all of it."""
    part = analysed_area(cells, affine, original)
    if part is None:
        return drawn
    shown = np.array(drawn.shape[:2])
    edges = np.rint(part * shown / np.array(original)) - [[0], [1]]
    (top, left), (low, right) = np.clip(edges, 0, shown - 1).astype(int)
    drawn = drawn.copy()
    for line in (
        *(drawn[y, left : right + 1] for y in (top, low)),
        *(drawn[top : low + 1, x] for x in (left, right)),
    ):
        line[:] = np.where(np.arange(len(line))[:, None] // DASH % 2, 0, LIGHT)
    return drawn
