"""Soft tissue: path lengths of each ray in body, lung and gas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from classifier.phantom import solids
from classifier.phantom.anatomy import Body, Pose, Profiles, midline
from classifier.phantom.solids import Array, Frame, Interval


@dataclass(frozen=True)
class Thorax:
    """Maps (rows, columns) in cm along each ray, and the profiles of the chest."""

    profiles: Profiles
    body: Array
    lung: Array
    lung_middle: Array
    gas: Array
    airway: Array
    folds: Array


def build(frame: Frame, person: Body, pose: Pose) -> Thorax:
    x, y = frame.grid
    profiles = Profiles(person, pose)
    from_spine = x - midline(person, y)
    lung, middle = _lungs(from_spine, y, person, profiles)
    return Thorax(
        profiles=profiles,
        body=_outline(frame, x, y, profiles),
        lung=lung,
        lung_middle=middle,
        gas=_gastric_air(frame, x, y, person, profiles),
        airway=_airway(frame, person, profiles),
        folds=_folds(frame, x, y, person, profiles),
    )


def _lungs(x: Array, y: Array, person: Body, profiles: Profiles) -> tuple[Array, Array]:
    width, depth, middle = profiles.lung_width(y), profiles.lung_depth(y), profiles.lung_middle(y)
    inside = np.maximum(1 - (np.abs(x) / width) ** 2.3, 0) ** 0.87
    low, high = solids.interval(middle, depth, np.where(y > 0, inside, 0))
    blocks = [
        _mediastinum(x, y, middle, depth, profiles),
        _spine_bulge(x, y, middle, depth),
        *_heart(x, y, person, profiles),
        *_aorta(x, y, person, profiles),
        _diaphragm(x, y, person, profiles),
    ]
    return solids.free_length((low, high), blocks), middle


def _mediastinum(x: Array, y: Array, middle: Array, depth: Array, profiles: Profiles) -> Interval:
    border = np.where(x < 0, profiles.right_border(y), profiles.left_border(y))
    share = 0.72 + 0.5 * np.exp(-np.maximum(y, 0) / 2.0)
    return solids.interval(middle, depth * share, 1 - (x / border) ** 2)


def _spine_bulge(x: Array, y: Array, middle: Array, depth: Array) -> Interval:
    return solids.interval(middle - depth, 2.2, 1 - (x / 2.2) ** 2)


def _heart(x: Array, y: Array, person: Body, profiles: Profiles) -> list[Interval]:
    s, size = profiles.stretch, person.heart * (0.5 + 0.5 * person.breadth)
    parts = (
        # ventricles, apex to the left and down; right atrium; left atrial appendage; pulmonary trunk
        ((2.5 * size, (person.left_dome - 4.2) * s, 2.0), (7.2 * size, 4.8 * size, 8.2), 0.58),
        ((-1.3 * size, (person.right_dome - 3.4) * s, 1.6), (2.9 * size, 5.0 * size, 7.6), 0.1),
        ((2.1 * size, 12.4 * s, 0.0), (2.2 * size, 2.9 * size, 3.6), 0.5),
        ((1.9 * size, 10.1 * s, 1.6), (1.85 * size, 2.2 * size, 2.4), 0.2),
    )
    return [solids.ellipsoid(x, y, centre, axes, turn) for centre, axes, turn in parts]


def _aorta(x: Array, y: Array, person: Body, profiles: Profiles) -> list[Interval]:
    s, a = profiles.stretch, person.aorta
    knob = solids.ellipsoid(x, y, (1.75 * a, 6.5 * s, -1.5), (1.75 * a, 1.75 * a, 3.8))
    above = np.maximum(7.5 * s - y, 0) / 2.5
    descends = 1 - ((x - 1.65 * a - 0.02 * (16 - y)) / (1.2 * a)) ** 2 - above**2
    return [knob, solids.interval(-5.2, 1.3 * a, descends)]


def _diaphragm(x: Array, y: Array, person: Body, profiles: Profiles) -> Interval:
    """Everything below the two domes; each fits the cage, so that the costophrenic angles stay sharp."""
    s = profiles.stretch
    low = np.full_like(y, 1e3)
    high = -low
    for side, top in ((-1, person.right_dome * s), (1, person.left_dome * s)):
        half = profiles.lung_width(np.float32(25 * s)) / 2 + 0.35
        rise = (25.8 if side < 0 else 26.2) * s - top
        u = (x - side * (half - 0.25)) / half
        v = np.minimum(y - top - rise, 0) / rise
        depth = profiles.lung_depth(np.float32(22 * s))
        flat = 1 - np.abs(u) ** 2.25 - v * v
        lo, hi = solids.interval(0.6, depth * 0.93, np.where(x * side > 0, flat, 0))
        low, high = np.minimum(low, lo), np.maximum(high, hi)
    below = y > 27.5 * s
    return np.where(below, -99, low), np.where(below, 99, high)


def _outline(frame: Frame, x: Array, y: Array, profiles: Profiles) -> Array:
    """Trunk, neck, shoulders and arms against the air around them."""
    width, depth = profiles.body_width(y), profiles.body_depth(y)
    trunk = 2 * depth * np.maximum(1 - (np.abs(x) / width) ** 2.6, 0) ** (1 / 2.2)
    arms = np.zeros_like(trunk)
    for side in (-1, 1):
        distance = _from_segment(x, y, (side * 16.2, 3.2), (side * 25.5, 13.0))
        arms = np.maximum(arms, 2 * np.sqrt(np.maximum(5.0**2 - distance**2, 0)))
    joined = (trunk**6 + (arms * 1.05) ** 6) ** (1 / 6)
    return ndimage.gaussian_filter(joined, 0.06 * frame.scale)


def _from_segment(x: Array, y: Array, start: tuple[float, float], end: tuple[float, float]) -> Array:
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)


def _gastric_air(frame: Frame, x: Array, y: Array, person: Body, profiles: Profiles) -> Array:
    """The stomach's bubble under the left dome and a little gas in the colon's bend."""
    rng = np.random.default_rng([0x6A5, person.seed])
    s, air = profiles.stretch, person.gastric_air
    top = person.left_dome * s
    bubbles = [
        ((4.6 + rng.uniform(-0.6, 1.2), top + 2.1, 1), (2.9 * air + 0.4, 1.2 * air + 0.3, 2.4 * air + 0.4))
    ]
    for _ in range(rng.integers(1, 5)):
        place = (rng.uniform(6.5, 10.5), top + rng.uniform(3.6, 6.5), 2)
        bubbles.append((place, (rng.uniform(0.5, 1.4), rng.uniform(0.5, 1.0), rng.uniform(0.5, 1.3))))
    gas = np.zeros_like(x)
    for centre, axes in bubbles:
        gas = np.maximum(gas, solids.length(solids.ellipsoid(x, y, centre, axes, rng.uniform(-0.3, 0.3))))
    return ndimage.gaussian_filter(gas, 0.08 * frame.scale)


def _airway(frame: Frame, person: Body, profiles: Profiles) -> Array:
    """Trachea down to the carina and the two main bronchi."""
    s = profiles.stretch
    lean = 0.25 + 0.25 * (person.aorta - 1)
    trachea = np.array(
        [[0, -9, -1], [0, -3, -1], [-0.1, 2, -1.5], [-lean, 6.2 * s, -2.5], [-0.25, 8.1 * s, -3]]
    )
    right = np.array([trachea[-1], [-1.5, 9.9 * s, -3], [-2.9, 11.3 * s, -3], [-3.6, 13.0 * s, -3]])
    left = np.array([trachea[-1], [1.7, 9.7 * s, -3], [3.9, 10.9 * s, -3], [5.0, 12.4 * s, -3]])
    tubes = [
        (trachea, np.array([0.9, 0.98, 0.98, 0.95, 0.9])),
        (right, np.array([0.72, 0.66, 0.5, 0.3])),
        (left, np.array([0.68, 0.56, 0.42, 0.25])),
    ]
    curves, radii = [], []
    for points, radius in tubes:
        at, fine = np.linspace(0, 1, len(points)), np.linspace(0, 1, 60)
        curve = np.column_stack([np.interp(fine, at, c) for c in points.T])
        curve = ndimage.gaussian_filter1d(curve, 5, axis=0, mode="nearest")
        curve[:, 0] += midline(person, curve[:, 1])
        curves.append(curve)
        radii.append(np.interp(fine, at, radius))
    return ndimage.gaussian_filter(
        solids.strands(frame, np.stack(curves), np.stack(radii)), 0.12 * frame.scale
    )


def _folds(frame: Frame, x: Array, y: Array, person: Body, profiles: Profiles) -> Array:
    """Extra soft tissue in cm: breasts with their lower edge, and the pectoral fold to the armpit."""
    rng = np.random.default_rng([0xF01D, person.seed])
    s, size = profiles.stretch, person.breast
    total = np.zeros_like(x)
    for side in (-1, 1):
        if size:
            place = (side * (8.0 + size + rng.normal(0, 0.2)), 15.5 * s + 1.6 * size + rng.normal(0, 0.3))
            reach = 4.6 + 1.6 * size + 0.8 * person.fat
            u, v = (x - place[0]) / reach, (y - place[1]) / (reach * np.where(y < place[1], 1.5, 0.88))
            total += 4.4 * size * np.maximum(1 - u * u - v * v, 0) ** 0.62
        edge = _from_segment(x, y, (side * 6.5, 6.0 * s), (side * 16.0, 7.0 * s)) / 3.6
        total += (0.6 + 0.8 * person.fat) * np.maximum(1 - edge**2, 0) ** 1.6
    return ndimage.gaussian_filter(total, 0.1 * frame.scale)
