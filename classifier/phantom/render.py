"""One simulated frontal chest radiograph from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from scipy import ndimage

from classifier.phantom import film, skeleton, solids, thorax, vessels
from classifier.phantom.anatomy import Body, Pose, draw_body, draw_pose
from classifier.phantom.opacities import Opacity, OpacitySpec, cast_shadows, draw_specs
from classifier.phantom.solids import Array, Frame

NORMAL, OPACITY = "normal", "opacity"
FINDINGS = (NORMAL, OPACITY)
DEFAULT_SIZE = 1280
GEOMETRY_SIZE = 768
SOFT, LUNG = 0.185, 0.04  # linear attenuation per cm at about 70 keV


@dataclass(frozen=True)
class Phantom:
    """A simulated radiograph: pixels uint16 (rows, columns) in 0..4095, bone bright; with the opacities in
    it.

    `spacing` is the pixel size in mm.
    """

    seed: int
    pixels: Array
    spacing: float
    finding: str
    opacities: tuple[Opacity, ...]
    female: bool


@dataclass(frozen=True)
class Subject:
    """A positioned patient: everything that does not depend on opacities and noise."""

    seed: int
    size: int
    person: Body
    pose: Pose
    frame: Frame
    chest: thorax.Thorax
    attenuation: Array


def render(
    seed: int,
    *,
    opacities: int | Sequence[OpacitySpec] = 0,
    size: int = DEFAULT_SIZE,
    anatomy: int | None = None,
) -> Phantom:
    """A phantom `size` pixels high; the same arguments give the same pixels.

    `opacities` is a number (drawn from the seed) or a list of OpacitySpec; `anatomy` is the seed of the
    patient (default: `seed`), so that one patient can have several images.
    """
    return acquire(prepare(seed, size=size, anatomy=anatomy), opacities=opacities)


def prepare(seed: int, *, size: int = DEFAULT_SIZE, anatomy: int | None = None) -> Subject:
    """The expensive half of `render`: anatomy, pose and their attenuation."""
    person, pose = draw_body(seed if anatomy is None else anatomy), draw_pose(seed)
    frame = _frame(pose, min(size, GEOMETRY_SIZE))
    chest = thorax.build(frame, person, pose)
    return Subject(seed, size, person, pose, frame, chest, _attenuation(frame, person, pose, chest))


def acquire(subject: Subject, *, opacities: int | Sequence[OpacitySpec] = 0, shot: int = 0) -> Phantom:
    """The cheap half of `render`: one exposure of a subject; `shot` is its number."""
    if isinstance(opacities, int):
        opacities = draw_specs(np.random.default_rng([0x5EC5, subject.seed, shot]), opacities)
    frame, chest, pose = subject.frame, subject.chest, subject.pose
    shadows, placed = cast_shadows(frame, opacities, chest.profiles, chest.lung)
    ratio = subject.size / frame.rows
    shape, scale = (subject.size, round(ratio * frame.columns)), frame.scale * ratio
    rng = np.random.default_rng([0xF11A, subject.seed, shot])
    density = film.expose(_enlarge(subject.attenuation + shadows, shape), scale=scale, rng=rng)
    pixels = film.develop(density, _enlarge(chest.lung, shape), pose, scale=scale)
    return Phantom(
        seed=subject.seed,
        pixels=film.annotate(pixels, pose, scale=scale),
        spacing=10 / scale,
        finding=OPACITY if placed else NORMAL,
        opacities=tuple(_enlarged(opacity, ratio) for opacity in placed),
        female=subject.person.breast > 0,
    )


def _frame(pose: Pose, rows: int) -> Frame:
    width, height = pose.field
    scale = rows / height
    middle = (pose.shift[0], 12.2 + pose.shift[1])
    return Frame(rows, round(width * scale), scale, middle, pose.roll, pose.yaw)


def _attenuation(frame: Frame, person: Body, pose: Pose, chest: thorax.Thorax) -> Array:
    rng = np.random.default_rng([0x7155, person.seed])
    wall = chest.body + chest.folds
    air = np.minimum(chest.lung, np.maximum(wall - 2, 0))
    solid = np.maximum(wall - air - chest.gas - 0.9 * chest.airway, 0)
    marbling = solids.cloud(rng, air.shape, 1.6 * frame.scale, 0.1 * frame.scale)
    solid *= 1 + 0.018 * marbling * (solid > 1)
    parenchyma = air * (1 + 0.05 * solids.cloud(rng, air.shape, 0.5 * frame.scale, 0.06 * frame.scale))
    blood = vessels.build(frame, person, chest.profiles) * np.clip(air / 6, 0, 1)
    soft = SOFT * (1 - 0.08 * person.fat) * solid + LUNG * parenchyma + (SOFT - LUNG) * 1.25 * blood
    soft = ndimage.gaussian_filter(soft, 0.03 * frame.scale)
    return np.maximum(soft + skeleton.build(frame, person, pose, chest.profiles) * np.clip(wall / 3, 0, 1), 0)


def _enlarge(image: Array, shape: tuple[int, int]) -> Array:
    if image.shape == shape:
        return image.astype(np.float32)
    small = Image.fromarray(image.astype(np.float32))
    return np.asarray(small.resize(shape[::-1], Image.Resampling.BICUBIC))


def _enlarged(opacity: Opacity, ratio: float) -> Opacity:
    x, y = ((place + 0.5) * ratio - 0.5 for place in (opacity.x, opacity.y))
    return replace(opacity, x=x, y=y, radius=opacity.radius * ratio)
