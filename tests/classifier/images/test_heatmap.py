"""The drawn map lies where it belongs, and a weak one looks weak."""

from __future__ import annotations

import numpy as np
import pytest

from classifier.images.heatmap import draw_frame, draw_heatmap, inferno, overlay, sample_grid
from classifier.networks.preprocess import grid_to_original


def test_a_cell_is_drawn_over_its_own_part_of_the_image():
    grid = np.zeros((4, 5))
    grid[1, 3] = 1
    original, shape = (400, 1000), (100, 250)
    drawn = sample_grid(grid, grid_to_original(grid.shape, original), original, shape)
    assert drawn.shape == shape
    assert np.unravel_index(drawn.argmax(), shape)[0] in range(25, 50)
    assert np.unravel_index(drawn.argmax(), shape)[1] in range(150, 200)
    assert drawn[:10].max() == drawn[:, :90].max() == 0


def test_a_map_of_a_part_ends_where_it_ends():
    affine = (10.0, 0.0, 50.0 + 4.5, 0.0, 10.0, 20.0 + 4.5)
    drawn = sample_grid(np.ones((2, 3)), affine, (100, 100), (100, 100))
    expected = np.zeros((100, 100))
    expected[20:40, 50:80] = 1
    np.testing.assert_allclose(drawn, expected)


def test_a_turned_map_is_turned_back():
    turned = (0.0, 10.0, 4.5, 10.0, 0.0, 4.5)
    grid = np.arange(6.0).reshape(2, 3)
    drawn = sample_grid(grid, turned, (30, 20), (30, 20))
    assert drawn[25, 5] == pytest.approx(grid[0, 2], abs=0.6)
    assert drawn[5, 15] == pytest.approx(grid[1, 0], abs=0.6)


def test_what_the_model_was_shown_is_framed():
    affine = (10.0, 0.0, 50.0 + 4.5, 0.0, 10.0, 20.0 + 4.5)
    image = np.full((100, 100), 90, np.uint8)
    drawn = draw_heatmap(image, np.zeros((2, 3)), affine, (100, 100))
    changed = (drawn != 90).any(axis=-1)
    expected = np.zeros((100, 100), bool)
    expected[20:40, 50:80] = True
    expected[21:39, 51:79] = False
    np.testing.assert_array_equal(changed, expected)
    assert {tuple(colour) for colour in drawn[changed].tolist()} == {(0, 0, 0), (187, 187, 187)}
    assert (draw_heatmap(image, np.zeros((2, 3)), affine, (100, 100), opacity=0) == 90).all()


def test_a_map_of_the_whole_image_has_no_frame():
    image = np.full((30, 20, 3), 90, np.uint8)
    for affine in (grid_to_original((3, 2), (300, 200)), (0.0, 100.0, 49.5, 100.0, 0.0, 49.5)):
        cells = (3, 2) if affine[0] else (2, 3)
        assert draw_frame(image, cells, affine, (300, 200)) is image


def test_no_evidence_leaves_the_image_as_it_is():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for strength in (0.0, -3.0):
        drawn = overlay(image, np.full((16, 16), strength))
        np.testing.assert_array_equal(drawn, np.repeat(image[..., None], 3, axis=2))


def test_weak_evidence_changes_the_image_less_than_strong():
    image = np.full((8, 8), 128, np.uint8)
    changes = [np.abs(overlay(image, np.full((8, 8), s)).astype(int) - 128).max() for s in (0.05, 0.3, 1.0)]
    assert changes[0] < changes[1] < changes[2]
    assert changes[0] < 10


def test_above_full_strength_the_map_is_hatched_and_the_anatomy_shows_through():
    image = np.tile(np.array([60, 200], np.uint8), (480, 240))
    full, above = (overlay(image, np.full(image.shape, s), opacity=0.6).astype(int) for s in (1.0, 1.2))
    lines = (full == above).all(axis=2)
    assert 0.25 < lines.mean() < 0.4
    assert np.abs(full[:, 0] - full[:, 1]).max() < 60  # 0.4 of the contrast of 140
    gaps = ~(lines[:, :-1] | lines[:, 1:])
    assert np.abs(above[:, :-1] - above[:, 1:])[gaps].max(axis=1).min() > 110


def test_the_colour_map_gets_brighter_from_black_to_yellow():
    colours = inferno(np.linspace(0, 1, 64))
    luminance = colours @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luminance) > 0).all()
    assert colours[0].max() < 0.02
    assert colours[-1] == pytest.approx((0.988, 1.0, 0.645), abs=0.04)
