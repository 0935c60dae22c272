"""Bones: ribs, shoulders, sternum and spine, as attenuation over and above soft tissue."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from classifier.phantom import shoulders, solids, spine
from classifier.phantom.anatomy import FIRST_THORACIC, Body, Pose, Profiles, midline, vertebra_levels
from classifier.phantom.solids import Array, Frame

DENSEST = 0.36  # where a rib turns along the ray, its shell does not add up without end
RIB_END = (2.75, 2.62, 2.55, 2.48, 2.42, 2.38, 2.32, 2.2, 2.08, 1.95, 1.0, 0.5)  # radians from the spine
RIB_DROP = (4.4, 6.2, 7.8, 9.0, 9.9, 10.7, 11.3, 11.6, 11.6, 11.2, 9.5, 8.5)  # cm from spine to front
RIB_HEIGHT = (0.62, 0.6, 0.6, 0.62, 0.64, 0.65, 0.66, 0.66, 0.64, 0.6, 0.52, 0.42)  # half, cm


def build(frame: Frame, person: Body, pose: Pose, profiles: Profiles) -> Array:
    """Attenuation (dimensionless) that bone adds along each ray."""
    rng = np.random.default_rng([0xB07E, person.seed])
    pairs = [(number, side) for number in range(len(RIB_END)) for side in (-1, 1)]
    parts = [_rib(frame, person, profiles, rng, *pair) for pair in pairs]
    parts += [part for side in (-1, 1) for part in shoulders.bones(frame, person, pose, rng, side)]
    bone = frame.splat(np.concatenate([p for p, _ in parts]), np.concatenate([m for _, m in parts]))
    bone = DENSEST * np.tanh(ndimage.gaussian_filter(bone, 0.025 * frame.scale) / DENSEST)
    bone += shoulders.blades(frame, person, pose) + spine.build(frame, person, profiles, rng)
    bone += _sternum(frame, profiles)
    grain = solids.cloud(rng, bone.shape, 0.2 * frame.scale, 0.04 * frame.scale)
    return bone * person.bone * (1 + 0.05 * grain)


def _rib(
    frame: Frame, person: Body, profiles: Profiles, rng: np.random.Generator, number: int, side: int
) -> solids.Samples:
    """One rib: along the cage from its vertebra to where its cartilage begins."""
    angle = np.linspace(0.08, RIB_END[number] + rng.normal(0, 0.03), 90)
    points = _rib_course(person, profiles, rng, number, side, angle)
    normal = np.column_stack([side * np.sin(angle), 0.35 * np.cos(angle), -np.cos(angle)])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    turn = angle / np.pi
    tall = RIB_HEIGHT[number] * person.breadth * (0.86 + 0.3 * turn) * np.clip((angle - 0.05) / 0.2, 0.6, 1)
    fading = 1 - 0.35 * np.clip((turn - 0.55) / 0.3, 0, 1)
    end = np.clip((angle[-1] - angle) / 0.12, 0.02, 1) ** 0.5
    thick = (0.36 - 0.14 * np.clip(turn * 3, 0, 1)) * fading * end
    density = 1.15 if number else 0.75  # the first lies flat
    return solids.hollow_bone(frame, points, normal, tall=tall, thick=thick, cortex=0.085, density=density)


def _rib_course(
    person: Body, profiles: Profiles, rng: np.random.Generator, number: int, side: int, angle: Array
) -> Array:
    turn = angle / np.pi
    level = vertebra_levels(profiles)[FIRST_THORACIC + number] - (0.75 if number else -0.2)
    drop = RIB_DROP[number] * profiles.stretch * person.rib_drop * (1 + rng.normal(0, 0.015))
    early = 0.2 + 0.06 * max(number - 4, 0)
    neck = 0.55 * np.sin(np.clip(turn * 5, 0, np.pi)) * (0 < number < 9)
    y = level + drop * (early * turn + 0.9 * turn**1.9) - neck
    width = profiles.lung_width(np.maximum(y, 0.6)) + 0.2
    depth = profiles.lung_depth(np.maximum(y, 1.5)) + 0.45
    if number == 0:
        width = np.minimum(width, 6.4 * person.breadth)
    x = side * (width * np.abs(np.sin(angle)) ** 0.82 + 0.4 * np.cos(angle)) + midline(person, y)
    z = profiles.lung_middle(y) - depth * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.9
    return np.column_stack([x, y, z])


def _sternum(frame: Frame, profiles: Profiles) -> Array:
    x, y = frame.grid
    v = np.clip((y / profiles.stretch - 5.4) / 2.6, -1, 1)
    half = 2.6 - 0.9 * v
    return 0.12 * np.clip((1 - np.abs(x / half) ** 6) * (1 - np.abs(v) ** 6), 0, 1)
