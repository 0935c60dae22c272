"""The anatomy of one simulated thorax, drawn from a seed, and its smooth profiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

FIRST_THORACIC = 5  # of vertebra_levels


@dataclass(frozen=True)
class Body:
    """Measures of one patient: lengths in cm, others relative to an average adult (1) or shares (0..1)."""

    breadth: float
    height: float
    depth: float
    fat: float
    breast: float
    bone: float
    heart: float
    aorta: float
    right_dome: float
    left_dome: float
    scoliosis: float
    rib_drop: float
    shoulder: float
    gastric_air: float
    seed: int


@dataclass(frozen=True)
class Pose:
    """The pose in one image: angles in radians, shifts in cm, inspiration relative to a full one."""

    roll: float
    yaw: float
    shift: tuple[float, float]
    field: tuple[float, float]
    breath: float
    scapula: float
    collimation: tuple[float, float, float, float]
    exposure: float
    contrast: float


def draw_body(seed: int) -> Body:
    rng = np.random.default_rng([0xB0D7, seed])
    female = rng.random() < 0.5
    return Body(
        breadth=rng.normal(0.96 if female else 1.03, 0.035),
        height=rng.normal(0.97 if female else 1.03, 0.035),
        depth=rng.normal(1.0, 0.06),
        fat=float(np.clip(rng.beta(2, 3.5), 0.05, 0.95)),
        breast=float(rng.uniform(0.35, 1.0)) if female else 0.0,
        bone=rng.uniform(0.8, 1.2),
        heart=float(np.clip(rng.normal(1.0, 0.07), 0.86, 1.2)),
        aorta=float(np.clip(rng.normal(1.0, 0.12), 0.75, 1.35)),
        right_dome=rng.normal(20.6, 0.6),
        left_dome=rng.normal(21.9, 0.6),
        scoliosis=rng.normal(0, 0.28),
        rib_drop=rng.normal(1.0, 0.07),
        shoulder=rng.uniform(-0.8, 0.8),
        gastric_air=rng.uniform(0.25, 1.0),
        seed=seed,
    )


def draw_pose(seed: int) -> Pose:
    rng = np.random.default_rng([0x905E, seed])
    edges = rng.uniform(-2.5, 1.6, 4)
    return Pose(
        roll=float(np.clip(rng.normal(0, 0.015), -0.045, 0.045)),
        yaw=float(np.clip(rng.normal(0, 0.025), -0.06, 0.06)),
        shift=(rng.normal(0, 0.5), rng.normal(0, 0.5)),
        field=(rng.uniform(33.0, 36.5), rng.uniform(36.0, 39.5)),
        breath=rng.uniform(0.94, 1.03),
        scapula=rng.uniform(-0.6, 1.6),
        collimation=tuple(float(e) for e in np.maximum(edges, 0)),
        exposure=rng.normal(0, 0.05),
        contrast=rng.uniform(0.98, 1.22),
    )


class Profiles:
    """Widths and depths of the chest by height: callables from y (cm below the apices) to cm."""

    def __init__(self, body: Body, pose: Pose) -> None:
        self.stretch = body.height * pose.breath
        b, d = body.breadth, body.depth
        wall = 1.1 + 2.2 * body.fat
        self.lung_width = self._curve(
            [0, 0.25, 0.8, 2, 4, 7, 11, 16, 21, 25, 29],
            b * np.array([4.4, 5.2, 6.1, 7.6, 9.7, 11.7, 13.0, 13.9, 14.2, 14.1, 13.6]),
        )
        self.lung_depth = self._curve(
            [0, 0.5, 1.5, 3, 6, 10, 16, 22, 25, 28],
            d * np.array([0.8, 2.4, 3.7, 5.0, 6.9, 8.3, 9.2, 9.0, 8.0, 6.0]),
        )
        self.lung_middle = self._curve([0, 4, 9, 16, 28], [-3.0, -1.8, -0.4, 0.2, 0.0])
        self.right_border = self._curve(
            [0, 0.3, 1, 2.5, 5, 8, 10, 13, 30], [4.3, 3.7, 2.9, 2.25, 2.3, 2.65, 2.5, 2.0, 2.2]
        )
        self.left_border = self._curve(
            [0, 0.3, 1, 2.5, 5, 8, 10, 13, 30], [4.3, 3.7, 2.9, 2.4, 2.1, 2.0, 2.2, 2.2, 2.2]
        )
        self.body_width = self._curve(
            [-12, -5, -3.2, -1.8, -0.4, 1.5, 4, 8, 12, 20, 32],
            [5.4, 5.8, 7.2, 10.0, 14.0, 16.8, 17.6, 17.2, *(b * np.array([14.2, 15.0, 14.9]) + wall)],
        )
        self.body_depth = self._curve(
            [-12, -4, -1, 2, 6, 12, 20, 32],
            [6.2, 6.2, 6.3, 7.2 + wall * 0.4, *(d * np.array([8.2, 9.5, 9.6, 9.0]) + wall * 0.85)],
        )

    def _curve(self, at: list[float], values: np.ndarray | list[float]):
        """Monotone between its knots; knots below the apices are scaled with the height of the chest."""
        at = np.array(at, float)
        at = np.where(at > 0, at * self.stretch, at)
        dense = np.linspace(at[0], at[-1], 700)
        table = PchipInterpolator(at, values)(dense)
        return lambda y: np.interp(y, dense, table).astype(np.float32)


def vertebra_levels(profiles: Profiles) -> np.ndarray:
    """Heights (cm) of the vertebral bodies C3 to L5; index 5 is T1."""
    spacing = np.concatenate(
        [[1.7, 1.7, 1.7, 1.7, 1.75], np.linspace(1.95, 2.6, 11), [2.75, 2.9, 3.0, 3.1, 3.1]]
    )
    levels = np.concatenate([[0], np.cumsum(spacing)])
    return (levels - levels[FIRST_THORACIC]) * profiles.stretch + 0.4


def midline(body: Body, y: np.ndarray) -> np.ndarray:
    """Lateral curvature of the spine (cm): a shallow S."""
    return (body.scoliosis * np.sin((y - 2) / 24 * 2 * np.pi)).astype(np.float32)
