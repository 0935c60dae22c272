"""Opacities at known positions: soft-edged, mottled consolidations inside the lungs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from classifier.phantom import solids
from classifier.phantom.anatomy import Profiles
from classifier.phantom.solids import Array, Frame

FILLED = 0.125  # per cm: what consolidated lung attenuates more than aerated lung


@dataclass(frozen=True)
class OpacitySpec:
    """An opacity relative to the anatomy, so that it keeps its position in all studies of a patient.

    The patient's `side` ("right", "left"); `height` in the lung, 0 apex to 1 base; place `across` it, 0 hilum
    to 1 chest wall; `radius` in cm; `strength`, 0.4 faint to 1 dense; `seed` of its lobules and texture.
    """

    side: str
    height: float
    across: float
    radius: float
    strength: float
    seed: int = 0


@dataclass(frozen=True)
class Opacity:
    """An opacity as drawn: centre (x, y) and radius in pixels of the image, the patient's side."""

    x: float
    y: float
    radius: float
    side: str
    strength: float


def draw_specs(rng: np.random.Generator, count: int) -> list[OpacitySpec]:
    specs = []
    for _ in range(count):
        radius = float(rng.uniform(1.5, 3.4))
        specs.append(
            OpacitySpec(
                side=str(rng.choice(["right", "left"])),
                height=float(rng.uniform(0.14, 0.84)),
                across=float(rng.uniform(0.3, 0.8)),
                radius=radius,
                strength=float(rng.uniform(0.5, 1.0)),
                seed=int(rng.integers(2**31)),
            )
        )
    return specs


def _place(spec: OpacitySpec, profiles: Profiles, lung: Array, frame: Frame) -> tuple[float, float]:
    """World x and y (cm) of an opacity, moved to where the ray crosses enough lung."""
    sign = -1 if spec.side == "right" else 1
    x, y = frame.grid
    wanted_y = (1.0 + spec.height * 21.0) * profiles.stretch
    wide = float(profiles.lung_width(np.float32(wanted_y)))
    wanted_x = sign * (2.5 + spec.across * (wide - 3.5))
    deep = lung > profiles.lung_depth(y)  # more than half of the chest depth: away from heart and diaphragm
    edge = ndimage.distance_transform_edt(deep) / frame.scale
    good = (x * sign > 0) & (edge > min(0.55 * spec.radius, 1.3))
    if not good.any():
        good = (x * sign > 0) & (lung > 0.5 * lung.max())
    at = np.argmin(np.where(good, (x - wanted_x) ** 2 + (y - wanted_y) ** 2, np.inf))
    return float(x.flat[at]), float(y.flat[at])


def cast_shadows(
    frame: Frame, specs: Sequence[OpacitySpec], profiles: Profiles, lung: Array
) -> tuple[Array, list[Opacity]]:
    """The attenuation added by the opacities, and their positions."""
    total, placed = np.zeros_like(lung), []
    for spec in specs:
        cx, cy = _place(spec, profiles, lung, frame)
        total += _patch(frame, spec, cx, cy)
        u, v = frame.project(np.array([cx, cy, 0.0]))
        placed.append(Opacity(float(u), float(v), spec.radius * frame.scale, spec.side, spec.strength))
    return total * np.clip(lung / 3.0, 0, 1) ** 0.7, placed


def _patch(frame: Frame, spec: OpacitySpec, cx: float, cy: float) -> Array:
    """Several overlapping lobules with noise at their edges and inside."""
    rng = np.random.default_rng([0x0BAC, spec.seed])
    x, y = frame.grid
    lobules = rng.uniform(-1, 1, (6, 3))
    lobules[0] = 0
    bump = np.zeros_like(x)
    for dx, dy, size in lobules:
        r = spec.radius * (0.62 + 0.18 * size)
        shift = 0.5 * spec.radius
        d2 = ((x - cx - dx * shift) ** 2 + ((y - cy - dy * shift) * 0.95) ** 2) / r**2
        bump = np.maximum(bump, np.exp(-(d2**1.2)))
    side = int(np.ceil(2.6 * spec.radius * 16))  # the texture is independent of the pixel grid
    texture = solids.cloud(rng, (side, side), 0.45 * spec.radius * 16, 1.2)
    u = (x - cx + 1.3 * spec.radius) * 16
    v = (y - cy + 1.3 * spec.radius) * 16
    texture = ndimage.map_coordinates(texture, [v, u], order=1, mode="reflect")
    mottled = np.clip(bump * (1 + 0.32 * texture) - 0.04, 0, None)
    return (FILLED * spec.strength * 2 * spec.radius * mottled).astype(np.float32)
