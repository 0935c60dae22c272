"""The numbers that monitoring keeps of an image."""

from __future__ import annotations

import numpy as np
import pytest

from classifier.drift.descriptors import FEATURES, PIXEL_NAMES, describe, pixel_statistics, project


def image(seed: int = 0, shape: tuple[int, int] = (200, 160)) -> np.ndarray:
    """Smooth light in the middle, with some grain."""
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    light = 20_000 + 20_000 * np.exp(-(rows**2) - columns**2)
    return (light + np.random.default_rng(seed).normal(0, 300, shape)).clip(0, 65_535).astype(np.uint16)


def named(working: np.ndarray) -> dict[str, float]:
    return dict(zip(PIXEL_NAMES, pixel_statistics(working), strict=True))


def test_levels_and_layout_are_what_numpy_states():
    working = image()
    reported, grey = named(working), working / 65_535
    assert reported["brightness"] == pytest.approx(grey.mean(), abs=1e-3)
    assert reported["contrast"] == pytest.approx(grey.std(), abs=1e-3)
    assert reported["level_p95"] == pytest.approx(np.percentile(grey, 95), abs=1e-3)
    assert reported["shape"] == pytest.approx(np.log(160 / 200))
    assert reported["centre"] > 0.5 > 0 > reported["border"]
    assert abs(reported["left_right"]) < 0.05


@pytest.mark.parametrize(
    ("change", "name", "rises"),
    [
        (lambda p: p // 2, "brightness", False),
        (lambda p: np.where(p < 30_000, 0, p).astype(np.uint16), "black_share", True),
        (lambda p: p + np.random.default_rng(1).integers(0, 3000, p.shape, dtype=np.uint16), "grain", True),
        (lambda p: p[:, :80], "shape", False),
        (lambda p: np.kron(p, np.ones((2, 2), dtype=np.uint16)), "size", True),
        (lambda p: np.where(np.arange(160) < 80, p // 2, p).astype(np.uint16), "left_right", False),
    ],
    ids=["darker", "blackened", "noisier", "cut", "enlarged", "one side dark"],
)
def test_what_scanners_change_moves_its_number(change, name, rises):
    before, after = named(image())[name], named(change(image()))[name]
    assert abs(after - before) > 0.02
    assert (after > before) == rises


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (3, 2), (64, 64), (1024, 700)])
@pytest.mark.parametrize("level", [0, 65_535])
def test_any_image_has_every_number(shape, level):
    assert np.isfinite(pixel_statistics(np.full(shape, level, dtype=np.uint16))).all()


def test_features_keep_their_distances_and_are_the_same_for_ever():
    pooled = np.abs(np.random.default_rng(3).normal(size=(40, 2048)))
    short = project(pooled)
    assert short.shape == (40, FEATURES)
    ratio = np.linalg.norm(short[1:] - short[:-1], axis=1) / np.linalg.norm(pooled[1:] - pooled[:-1], axis=1)
    assert 0.8 < ratio.mean() < 1.2
    np.testing.assert_allclose(short[0, :3], project(pooled[0])[:3])
    np.testing.assert_allclose(project(np.ones(8))[:3], [0.0, 0.4082, 0.4082], atol=1e-3)


def test_descriptors_are_short():
    descriptors = describe(image(), np.random.default_rng(0).random(2048).astype(np.float32))
    assert (len(descriptors.pixels), len(descriptors.features)) == (len(PIXEL_NAMES), FEATURES)
    assert all(len(repr(abs(value))) <= 11 for value in (*descriptors.pixels, *descriptors.features))
