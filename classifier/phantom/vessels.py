"""Pulmonary vessels: trees that grow from the hila through the lungs, tapering as they branch."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from classifier.phantom import solids
from classifier.phantom.anatomy import Body, Profiles, midline
from classifier.phantom.solids import Array, Frame

LEAF_RADIUS = 0.072
BRANCHING = 2.25  # r_parent^k = sum of r_child^k; Murray's law has 3 in the small, measured lungs less
TARGETS = 260
THICKEST = 1.5  # cm
Branch = tuple[Array, Array, Array, float, float]  # origin, control point, end, first and last radius
ROOTS = {  # (outwards, down, forwards) in cm, and the share of blood
    "artery": {-1: (2.2, 9.6, -1.0), 1: (2.4, 8.7, -1.5)},
    "vein": {-1: (1.2, 11.6, -1.5), 1: (1.4, 11.2, -2.0)},
}

TRUNKS = {  # the large arteries of the hila: points in cm as above
    -1: ((0.0, 9.0, 0), (2.4, 9.3, -0.6), (3.5, 10.6, -1.0), (4.1, 12.4, -1.5), (4.8, 14.6, -2.0)),
    1: ((0.2, 9.2, 0.6), (2.6, 8.4, -0.5), (3.9, 9.0, -1.6), (4.6, 10.8, -2.0), (5.2, 13.4, -2.4)),
}


def build(frame: Frame, person: Body, profiles: Profiles) -> Array:
    """Path length in blood (cm) along each ray, as if all vessels were inside the lungs."""
    branches = []
    for kind, roots in ROOTS.items():
        for side, root in roots.items():
            rng = np.random.default_rng([0x7E55E1, person.seed, side + 1, kind == "vein"])
            start = np.array([side * root[0], root[1] * profiles.stretch, root[2]])
            aim = np.array([side * 0.25, 1.0 if kind == "artery" else 0.1, 0.0])
            branches += _grow(
                rng, start, aim, _targets(rng, profiles, side), 1.0 if kind == "artery" else 0.8
            )
    thickness = np.zeros((frame.rows, frame.columns), np.float32)
    for points, radius in (_curves(branches), _trunks(profiles)):
        points[..., 0] += midline(person, points[..., 1])
        thickness += solids.strands(frame, points, radius)
    return THICKEST * np.tanh(
        thickness / THICKEST
    )  # a vessel seen end-on is no longer than its neighbourhood


def _targets(rng: np.random.Generator, profiles: Profiles, side: int) -> Array:
    """Points of one lung, thinning towards its surface as vessels too fine to see do."""
    y = rng.uniform(0.8, 26, TARGETS * 3) * profiles.stretch
    width = profiles.lung_width(y)
    x = rng.uniform(0.17, 0.93, TARGETS * 3) * width
    z = rng.uniform(-0.3, 0.3, TARGETS * 3) * profiles.lung_depth(y)
    dome = 21.0 * profiles.stretch + 0.09 * (x - 6.5) ** 2
    keep = (y < dome + np.where(z < -3, 2.5, 0.2)) & (
        (x / width) ** 2 + (z / profiles.lung_depth(y)) ** 2 < 0.9
    )
    return np.column_stack([side * x, y, z + profiles.lung_middle(y)])[keep][:TARGETS]


def _grow(rng: np.random.Generator, start: Array, aim: Array, targets: Array, scale: float) -> list[Branch]:
    """Branches of a tree: each starts in the direction of its parent, turns to its targets and splits."""
    branches, stack = [], [(start, aim / np.linalg.norm(aim), targets)]
    while stack:
        origin, heading, group = stack.pop()
        middle = group.mean(axis=0)
        way = _reach(origin, middle, group) * (middle - origin)
        size = np.sqrt(way @ way)
        end = origin + way + rng.normal(0, 0.05 * size, 3)
        control = origin + heading * (0.45 * size)
        radius = scale * LEAF_RADIUS * len(group) ** (1 / BRANCHING)
        branches.append((origin, control, end, radius, radius * 0.8 if len(group) > 1 else radius * 0.35))
        if len(group) == 1:
            continue
        heading = (end - control) / (np.linalg.norm(end - control) + 1e-9)
        spread = group - middle
        order = np.argsort(spread[:, np.argmax((spread**2).sum(axis=0))])
        cut = min(max(round(len(group) * rng.uniform(0.3, 0.7)), 1), len(group) - 1)
        stack += [(end, heading, group[order[:cut]]), (end, heading, group[order[cut:]])]
    return branches


def _curves(branches: list[Branch]) -> tuple[Array, Array]:
    """Points (branches, n, 3) and radii (branches, n) of quadratic Bezier curves."""
    t = np.linspace(0, 1, 9)
    origin, control, end = (np.stack([branch[i] for branch in branches])[:, None] for i in range(3))
    first, last = (np.array([branch[i] for branch in branches])[:, None] for i in (3, 4))
    s = t[:, None]
    return (1 - s) ** 2 * origin + 2 * s * (1 - s) * control + s**2 * end, first + (last - first) * t


def _reach(origin: Array, middle: Array, group: Array) -> float:
    """Relative position of a bifurcation, before the nearest target, so that branches grow outwards."""
    if len(group) == 1:
        return 1.0
    way = middle - origin
    nearest = ((group - origin) @ way).min() / (way @ way + 1e-9)
    return float(min(max(0.7 * nearest, 0.12), 0.6))


def _trunks(profiles: Profiles) -> tuple[Array, Array]:
    at, fine = np.arange(5), np.linspace(0, 4, 65)
    points = [CubicSpline(at, np.array(TRUNKS[side]) * (side, profiles.stretch, 1))(fine) for side in TRUNKS]
    return np.stack(points), np.tile(np.interp(fine, at, (0.7, 0.78, 0.7, 0.5, 0.2)), (len(points), 1))
