"""Clavicles, scapulae and the upper ends of the arms."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from classifier.phantom import solids
from classifier.phantom.anatomy import Body, Pose
from classifier.phantom.solids import Array, Frame

Knots = tuple[tuple[float, float, float], ...]

SCAPULA_BORDERS: tuple[tuple[Knots, float], ...] = (  # points in cm, half-thickness: medial, lateral, spine
    (((11.2, 1.6, -6), (10.4, 4.0, -7), (10.7, 8.0, -8), (11.9, 12.3, -8)), 0.16),
    (((11.9, 12.3, -8), (13.2, 9.6, -7), (14.6, 6.4, -5), (15.3, 5.0, -4)), 0.34),
    (((10.6, 3.9, -7), (13.0, 2.7, -7), (15.6, 1.6, -5), (17.6, 1.3, -2)), 0.42),
)
SCAPULA_OUTLINE = np.array(
    [[11.2, 10.4, 10.7, 11.9, 13.2, 14.6, 15.3, 14.6], [1.6, 4.0, 8.0, 12.3, 9.6, 6.4, 5.0, 3.0]]
).T
HUMERUS: Knots = ((17.9, 4.0, -1), (19.0, 6.4, 0), (21.0, 10.0, 1), (23.4, 14.5, 2))


def bones(
    frame: Frame, person: Body, pose: Pose, rng: np.random.Generator, side: int
) -> list[solids.Samples]:
    """Samples of clavicle, humerus and the scapula's borders of one side."""
    up = person.shoulder + side * rng.normal(0, 0.15)
    shift = np.array([side * pose.scapula, up, 0])
    wide = (person.breadth, 1, 1)
    t = np.linspace(0, 1, 60)
    arm = np.interp(t, (0, 0.04, 0.1, 0.18, 0.4, 1), (0.2, 1.0, 1.5, 1.6, 1.3, 1.15))
    parts = [_clavicle(frame, person, up, side), _bone(frame, _curve(HUMERUS, side) + shift, arm, 0.22, 0.55)]
    for knots, thickness in SCAPULA_BORDERS:
        curve = _curve(np.array(knots) * wide, side) + shift
        taper = np.clip(2 * np.sin(np.linspace(0.05, np.pi - 0.05, len(curve))), 0.15, 1)
        parts.append(_bone(frame, curve, thickness * taper, 0.07, 0.6))
    return parts


def _clavicle(frame: Frame, person: Body, up: float, side: int) -> solids.Samples:
    b = person.breadth
    inner = ((1.7, 4.5, 7), (3.6, 3.9, 7.2), (6.0 * b, 3.0 + 0.4 * up, 7), (9.0 * b, 2.0 + 0.8 * up, 5.5))
    outer = ((12.0 * b, 1.3 + up, 3), (14.6 * b, 1.4 + up, 1.5), (16.2 * b, 1.7 + up, 1))
    curve = _curve(inner + outer, side)
    t = np.linspace(0, 1, len(curve))
    radius = 0.52 + 0.34 * np.exp(-((t / 0.13) ** 2)) + 0.12 * np.exp(-(((t - 0.95) / 0.2) ** 2))
    return _bone(frame, curve, radius * np.clip((1 - t) / 0.06, 0.25, 1) ** 0.5, 0.13, 1.2)


def _bone(frame: Frame, curve: Array, radius: Array, cortex: float, density: float) -> solids.Samples:
    normal = np.tile([0.0, 0.25, 1.0], (len(curve), 1))
    return solids.hollow_bone(
        frame, curve, normal, tall=radius, thick=0.85 * radius, cortex=cortex, density=density
    )


def _curve(knots: Knots | Array, side: int, count: int = 60) -> Array:
    """Smooth curve (count, 3) near the knots of the left side, mirrored for the right (side -1)."""
    raw = np.array(knots, float)
    at, fine = np.linspace(0, 1, len(raw)), np.linspace(0, 1, count)
    curve = np.column_stack([np.interp(fine, at, column) for column in raw.T])
    curve = ndimage.gaussian_filter1d(curve, count / len(raw) / 1.5, axis=0, mode="nearest")
    return curve * (side, 1, 1)


def blades(frame: Frame, person: Body, pose: Pose) -> Array:
    """Attenuation of the scapulae's thin plates and of the humeral heads."""
    x, y = frame.grid
    total = np.zeros_like(x)
    for side in (-1, 1):
        outline = SCAPULA_OUTLINE * (side * person.breadth, 1) + (side * pose.scapula, person.shoulder)
        u, v = frame.project(np.column_stack([outline, np.full(len(outline), -6.0)]))
        sheet = Image.new("F", (frame.columns, frame.rows), 0.0)
        ImageDraw.Draw(sheet).polygon(np.column_stack([u, v]).ravel().tolist(), fill=0.16)
        total += ndimage.gaussian_filter(np.asarray(sheet), 0.12 * frame.scale)
        centre = (side * (17.7 * person.breadth + pose.scapula), 4.1 + person.shoulder, -1)
        outer = solids.length(solids.ellipsoid(x, y, centre, (2.3, 2.5, 2.3)))
        inner = solids.length(solids.ellipsoid(x, y, centre, (2.2, 2.4, 2.2)))
        total += 0.5 * solids.CORTICAL * (outer - inner) + 0.55 * solids.MARROW * inner
    return total
