"""Synthetic OOD negatives: generated images that are not chest X-rays, for the training of the input check.

Simulated radiographs of other body parts are sums of path lengths through tubes of bone and soft tissue, with
random dimensions: they need not look like a hand, only like bones that are not a thorax. The others are text,
charts and textures. They are used for training only, never for measurement.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from tqdm import tqdm

SIDE = 192  # pixels: more than the network's input, since crops are taken from it
BONE, SHELL, SOFT = 0.5, 0.45, 0.19  # attenuation per unit of length; the shell is what a bone's rim adds

Rng = np.random.Generator
Array = np.ndarray


def ood_negative(seed: int) -> Array:
    """An image (SIDE, SIDE) uint8; the same seed gives the same image."""
    rng = np.random.default_rng([0x57A6, seed])
    image = MAKERS[rng.choice(len(MAKERS), p=WEIGHTS)](rng)
    low, high = np.percentile(image, (0.5, 99.5))
    return np.rint(np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)


def ood_negatives(count: int, folder: Path) -> Array:
    """The first `count` of them, uint8 (count, SIDE, SIDE), kept in `folder`."""
    store = folder / f"ood-negatives-{SIDE}-{count}.npy"
    if not store.exists():
        seeds = tqdm(range(count), desc="OOD negatives", disable=None)
        made = np.stack(list(map(ood_negative, seeds)))
        folder.mkdir(parents=True, exist_ok=True)
        temporary = store.with_suffix(f".{os.getpid()}.npy")
        np.save(temporary, made)
        os.replace(temporary, store)
    return np.load(store, mmap_mode="r")


def _grid() -> tuple[Array, Array]:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    return x, y


def _tube(points: Array, radius: Array | float) -> Array:
    """Path length through a round tube along a polyline (n, 2), in units of the image's side."""
    x, y = _grid()
    radii = np.broadcast_to(np.asarray(radius, np.float32), len(points))
    total = np.zeros((SIDE, SIDE), np.float32)
    for (ax, ay), (bx, by), ra, rb in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
        dx, dy = bx - ax, by - ay
        t = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
        distance = np.hypot(x - ax - t * dx, y - ay - t * dy)
        total = np.maximum(total, 2 * np.sqrt(np.maximum((ra + t * (rb - ra)) ** 2 - distance**2, 0)))
    return total


def _bone(points: Array, radius: Array | float, rim: float = 0.3) -> Array:
    """Attenuation of a bone with a dense rim and wider ends."""
    outer = _tube(points, radius)
    inner = _tube(points, np.asarray(radius) * (1 - rim))
    return 10 * (BONE * outer + SHELL * (outer - inner))


def _long_bone(rng: Rng, start: Array, end: Array, radius: float) -> Array:
    at = np.linspace(0, 1, 7)[:, None]
    bend = rng.normal(0, 0.02, 2) * np.sin(np.pi * at)
    ends = 1 + rng.uniform(0.2, 0.9) * np.abs(2 * at[:, 0] - 1) ** 4
    return _bone(start + at * (end - start) + bend, radius * ends, rng.uniform(0.15, 0.5))


def _ellipse(centre: Sequence[float] | Array, axes: Sequence[float] | Array, turn: float = 0.0) -> Array:
    """Path length through an ellipsoid as deep as it is wide."""
    x, y = _grid()
    dx, dy = x - centre[0], y - centre[1]
    u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    return 2 * axes[0] * np.sqrt(np.maximum(1 - (u / axes[0]) ** 2 - (v / axes[1]) ** 2, 0))


def _film(rng: Rng, attenuation: Array) -> Array:
    """Brightness of an attenuation, with scatter, grain, blur and an accidental collimation."""
    shown = 1 - np.exp(-attenuation * rng.uniform(0.4, 1.2))
    shown += 0.05 * ndimage.gaussian_filter(rng.standard_normal((SIDE, SIDE)), 8) * 8 * (attenuation > 0.01)
    shown = ndimage.gaussian_filter(shown, rng.uniform(0.3, 1.5)) + rng.normal(0, 0.02, (SIDE, SIDE))
    if rng.random() < 0.3:
        x, y = _grid()
        edge = rng.uniform(0, 0.15, 4)
        shown[(x < edge[0]) | (x > 1 - edge[1]) | (y < edge[2]) | (y > 1 - edge[3])] = shown.min()
    return shown


def _turned(rng: Rng, points: Array) -> Array:
    """Points around the middle of the image, turned and scaled at random."""
    angle, scale = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.4)
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    return (points - 0.5) @ np.array([[cos, sin], [-sin, cos]]) + 0.5 + rng.normal(0, 0.06, 2)


def limb(rng: Rng) -> Array:
    """One or two bones side by side, often two of them end to end with a joint between."""
    joint = rng.uniform(0.2, 0.8)
    bend = rng.normal(0, 0.25)
    line = _turned(rng, np.array([[0.5, -0.3], [0.5, joint], [0.5 + bend, 1.3]]))
    attenuation = 10 * SOFT * _tube(line, rng.uniform(0.08, 0.3))
    for start, end in ((line[0], line[1]), (line[1], line[2])):
        radius, gap = rng.uniform(0.02, 0.07), 0.012
        along = (end - start) / (np.linalg.norm(end - start) + 1e-6)
        aside = np.array([-along[1], along[0]]) * radius * rng.uniform(1.2, 2.2)
        for side in (1, -1) if rng.random() < 0.5 else (0,):
            shift = side * aside
            attenuation += _long_bone(rng, start + along * gap + shift, end - along * gap + shift, radius)
    if rng.random() < 0.4:
        attenuation += 10 * BONE * _ellipse(line[1], (rng.uniform(0.03, 0.08), rng.uniform(0.03, 0.08)))
    return _film(rng, attenuation)


def hand(rng: Rng) -> Array:
    """Rays of short bones that fan out from a palm."""
    wrist, fan = np.array([0.5, 0.95]), rng.uniform(0.4, 1.0)
    rays, radius = rng.integers(3, 6), rng.uniform(0.012, 0.025)
    attenuation = 10 * SOFT * _ellipse((0.5, 0.68), (rng.uniform(0.15, 0.24), 0.2))
    for angle in np.linspace(-fan / 2, fan / 2, rays) + rng.normal(0, 0.04, rays):
        reach = np.cumsum([0.25, *rng.uniform(0.1, 0.2, 3)])
        joints = wrist - np.array([-np.sin(angle), np.cos(angle)]) * (reach * rng.uniform(0.8, 1.2))[:, None]
        attenuation += 10 * SOFT * _tube(joints, 2.2 * radius)
        for start, end in pairwise(joints):
            attenuation += _long_bone(rng, start + 0.04 * (end - start), end - 0.04 * (end - start), radius)
    for _ in range(rng.integers(4, 9)):
        attenuation += 6 * BONE * _ellipse(rng.normal((0.5, 0.88), 0.05), rng.uniform(0.015, 0.04, 2))
    turns = rng.integers(4)
    return _film(rng, np.rot90(attenuation, turns))


def skull(rng: Rng) -> Array:
    """Shells of bone with hollows in them."""
    centre, axes = rng.normal((0.5, 0.42), 0.05), rng.uniform(0.25, 0.42, 2)
    turn, rim = rng.uniform(-0.4, 0.4), rng.uniform(0.03, 0.08)
    attenuation = 2 * SOFT * _ellipse(centre, axes + 0.03, turn)
    attenuation += 6 * BONE * (_ellipse(centre, axes, turn) - _ellipse(centre, axes - rim, turn))
    jaw = np.array([[0.3, 0.6], [0.36, 0.82], [0.5, 0.9], [0.64, 0.82], [0.7, 0.6]])
    jaw += rng.normal(0, 0.03, (5, 2))
    attenuation += _bone(jaw, rng.uniform(0.02, 0.05))
    for _ in range(rng.integers(2, 7)):
        place = rng.normal((0.5, 0.58), (0.12, 0.06))
        attenuation -= rng.uniform(0.3, 1.2) * _ellipse(place, rng.uniform(0.03, 0.09, 2))
    if rng.random() < 0.6:
        for x in np.linspace(0.35, 0.65, rng.integers(5, 10)):
            attenuation += 7 * BONE * _ellipse((x, 0.74 + rng.normal(0, 0.01)), (0.016, 0.05))
    return _film(rng, np.maximum(attenuation, 0))


def trunk(rng: Rng) -> Array:
    """Belly or pelvis: a wide body, a column of vertebrae, gas, iliac wings and thigh bones or none."""
    lean = rng.normal(0, 0.08)
    attenuation = 3 * SOFT * _ellipse((0.5, 0.5), (rng.uniform(0.42, 0.7), rng.uniform(0.7, 1.2)))
    count = rng.integers(5, 11)
    end = rng.uniform(0.55, 1.0)
    for y in np.linspace(-0.02, end, count):
        where = (0.5 + lean * (y - 0.5), y)
        size = (rng.uniform(0.05, 0.09), 0.42 * end / count)
        inner = _ellipse(where, (size[0] * 0.3, size[1] * 0.7))
        attenuation += 3 * BONE * _ellipse(where, size) + 4 * BONE * inner
    for _ in range(rng.integers(0, 14)):
        place, size = rng.uniform((0.15, 0.05), (0.85, 0.9)), rng.uniform(0.02, 0.1, 2)
        attenuation -= rng.uniform(0.5, 2.0) * SOFT * 4 * _ellipse(place, size, rng.uniform(0, 3))
    if end < 0.85 or rng.random() < 0.4:
        for side in (-1, 1):
            wing = (0.5 + side * rng.uniform(0.2, 0.28), rng.uniform(0.5, 0.72))
            rim = rng.uniform(0.02, 0.05)
            axes = rng.uniform(0.12, 0.2, 2)
            turn = side * rng.uniform(0.2, 0.9)
            attenuation += 4 * BONE * (_ellipse(wing, axes, turn) - 0.7 * _ellipse(wing, axes - rim, turn))
            hip = np.array([wing[0] + side * 0.06, wing[1] + 0.2])
            attenuation += 3 * BONE * _ellipse(hip, (0.06, 0.06))
            knee = hip + np.array([side * rng.uniform(0, 0.1), 0.5])
            attenuation += _long_bone(rng, hip, knee, rng.uniform(0.03, 0.05))
    return _film(rng, np.maximum(attenuation, 0))


def column(rng: Rng) -> Array:
    """A spine seen from the side, a neck, a row of teeth: blocks along a curve, close up."""
    count, along = rng.integers(4, 12), np.linspace(-0.05, 1.05, 40)
    curve = np.column_stack([0.5 + rng.normal(0, 0.12) * np.sin(along * rng.uniform(2, 5)), along])
    curve = _turned(rng, curve)
    attenuation = 10 * SOFT * _tube(curve, rng.uniform(0.15, 0.45))
    size = rng.uniform(0.03, 0.11)
    for index in np.linspace(0, 39, count).astype(int):
        ahead = curve[min(index + 1, 39)] - curve[max(index - 1, 0)]
        turn = float(np.arctan2(ahead[1], ahead[0])) + np.pi / 2
        block = (size, rng.uniform(0.3, 0.48) / count * 1.1)
        attenuation += 4 * BONE * _ellipse(curve[index], block, turn)
        if rng.random() < 0.7:
            aside = np.array([-ahead[1], ahead[0]]) / (np.linalg.norm(ahead) + 1e-6)
            start, end = curve[index] + aside * size, curve[index] + aside * size * 2.2
            attenuation += _long_bone(rng, start, end, 0.015)
    return _film(rng, attenuation)


def breast(rng: Rng) -> Array:
    """A half ellipse with strands in it, on one side."""
    axes = (rng.uniform(0.4, 0.8), rng.uniform(0.35, 0.55))
    body = 4 * SOFT * _ellipse((0.0, 0.5), axes)
    texture = _cloud(rng, 6) + 0.6 * _cloud(rng, 2)
    attenuation = body * (1 + 0.35 * np.clip(texture, -1.5, 2.5))
    return _film(rng, attenuation if rng.random() < 0.5 else attenuation[:, ::-1])


def _cloud(rng: Rng, sigma: float) -> Array:
    field = ndimage.gaussian_filter(rng.standard_normal((SIDE, SIDE)), sigma)
    return field / (field.std() + 1e-6)


def texture(rng: Rng) -> Array:
    """Noise of several scales, stripes, checks, ramps and discs, one over the other."""
    x, y = _grid()
    image = sum(rng.random() * _cloud(rng, sigma) for sigma in (1, 3, 9, 27))
    if rng.random() < 0.5:
        angle, pitch = rng.uniform(0, np.pi), rng.uniform(5, 60)
        image = image * rng.random() + np.sin((x * np.cos(angle) + y * np.sin(angle)) * pitch) * 2
    if rng.random() < 0.4:
        image = image + rng.normal(0, 3) * x + rng.normal(0, 3) * y
    for _ in range(rng.integers(0, 6)):
        image = image + rng.normal(0, 20) * _ellipse(rng.random(2), rng.uniform(0.02, 0.3, 2))
    return image


def document(rng: Rng) -> Array:
    """Lines of words, boxes and curves on paper or on a dark screen."""
    paper, ink = (255, 0) if rng.random() < 0.7 else (0, 255)
    image = Image.new("L", (SIDE, SIDE), paper)
    draw = ImageDraw.Draw(image)
    height, left = rng.integers(4, 14), rng.integers(4, 30)
    for top in range(rng.integers(0, 40), SIDE, int(height * rng.uniform(1.3, 2.5))):
        at = left
        while at < SIDE - rng.integers(5, 60) and rng.random() > 0.04:
            word = int(rng.uniform(0.5, 6) * height)
            for x in range(at, at + word, max(2, height // 3)):
                upper, lower = (x, top + rng.integers(0, 3)), (x + rng.integers(-1, 3), top + height * 0.7)
                draw.line([upper, lower], fill=ink)
            at += word + height // 2 + 1
    for _ in range(rng.integers(0, 5)):
        box = np.sort(rng.integers(0, SIDE, (2, 2)), axis=0)
        fill = int(rng.integers(0, 256)) if rng.random() < 0.4 else None
        draw.rectangle([*box[0], *box[1]], outline=ink, fill=fill)
    if rng.random() < 0.4:
        walk = np.cumsum(rng.normal(0, 6, 40)) + SIDE / 2
        points = list(zip(np.linspace(5, SIDE - 5, 40), walk, strict=True))
        draw.line(points, fill=ink, width=int(rng.integers(1, 3)))
    return np.asarray(image, np.float32) + rng.normal(0, rng.uniform(0, 12), (SIDE, SIDE))


MAKERS: tuple[Callable[[Rng], Array], ...] = (limb, hand, skull, trunk, column, breast, texture, document)
WEIGHTS = (0.2, 0.1, 0.12, 0.2, 0.14, 0.06, 0.08, 0.1)
