"""The spine from C3 to L5."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from classifier.phantom.anatomy import FIRST_THORACIC, Body, Profiles, midline, vertebra_levels
from classifier.phantom.solids import Array, Frame

FIRST_LUMBAR = FIRST_THORACIC + 12


def build(frame: Frame, person: Body, profiles: Profiles, rng: np.random.Generator) -> Array:
    """Attenuation of all vertebrae."""
    x, y = frame.grid
    x = x + 6.5 * frame.yaw - midline(person, y)
    total = np.zeros_like(x)
    levels = vertebra_levels(profiles)
    for number, (level, gap) in enumerate(zip(levels[:-1], np.diff(levels), strict=True)):
        rows = np.abs(y - level).min(axis=1) < 1.6 * gap
        columns = np.abs(x).min(axis=0) < 5
        block = np.ix_(rows, columns)
        at = (x[block], y[block] - level)
        total[block] += _body(*at, gap, number) + _arch(*at, gap, number)
        total[block] += _spinous_process(at[0] + 3 * frame.yaw - rng.normal(0, 0.05), at[1], gap)
    return ndimage.gaussian_filter(total, 0.035 * frame.scale)


def _half_width(number: int) -> float:
    return 1.2 + 0.05 * number + 0.1 * max(number - FIRST_LUMBAR + 3, 0)


def _body(x: Array, y: Array, gap: float, number: int) -> Array:
    """The waisted box of a vertebral body with its end plates and side walls; x, y from its middle."""
    half_height = 0.42 * gap
    waist = 1 - 0.1 * np.exp(-((y / (0.5 * half_height)) ** 2))
    u, v = np.abs(x / (_half_width(number) * waist)), np.abs(y / half_height)
    core = np.clip((1.03 - v) / 0.1, 0, 1) * np.clip(1 - u**4, 0, 1) ** 0.5
    plates = np.exp(-(((v - 0.95) / 0.08) ** 2)) * np.clip(1 - u**6, 0, 1)
    walls = np.exp(-(((u - 0.93) / 0.07) ** 2)) * (v < 0.95)
    return 0.13 * core + 0.085 * plates + 0.07 * walls


def _arch(x: Array, y: Array, gap: float, number: int) -> Array:
    """Pedicles, seen end-on as rings, and transverse processes."""
    total = np.zeros_like(x)
    reach = 2.6 if FIRST_THORACIC <= number < FIRST_LUMBAR - 1 else 2.0
    for side in (-1, 1):
        rho = np.hypot((x - side * 0.58 * _half_width(number)) / 0.32, (y + 0.25 * gap) / (0.21 * gap))
        total += 0.1 * np.exp(-(((rho - 1) / 0.28) ** 2))
        along = (side * x - 0.5 * _half_width(number)) / reach
        across = np.abs(y + 0.25 * gap - 0.12 * along) / (0.36 * (1.05 - 0.3 * np.clip(along, 0, 1)))
        total += 0.06 * np.clip(1 - across**4, 0, 1) * np.clip(1 - np.abs(2 * along - 1) ** 8, 0, 1)
    return total


def _spinous_process(x: Array, y: Array, gap: float) -> Array:
    rho = np.hypot(x / 0.36, (y - 0.62 * gap) / (0.38 * gap))
    return 0.09 * np.exp(-(((rho - 0.9) / 0.25) ** 2)) + 0.05 * np.clip((0.95 - rho) * 5, 0, 1)
