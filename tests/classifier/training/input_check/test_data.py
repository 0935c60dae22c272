"""Views of an image are of the kind that they are stated to be, by construction."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from classifier.training.input_check import data
from classifier.training.input_check.data import (
    CUT_FROM,
    SIDE,
    WHOLE_UP_TO,
    Views,
    draw_shares,
    lost_share,
    read_ood_negatives,
)

LUNGS = np.zeros((64, 64), bool)
LUNGS[8:56, 6:28] = LUNGS[8:56, 36:58] = True


@pytest.mark.parametrize(
    ("window", "lost"),
    [((0, 0, 1, 1), 0.0), ((0.5, 0, 1, 1), 0.5), ((0, 0, 1, 0.5), 0.5), ((-0.1, -0.1, 1.1, 1.1), 0.0)],
)
def test_the_lost_share_is_what_lies_outside_the_window(window, lost):
    assert lost_share(LUNGS, np.array(window, float)) == pytest.approx(lost)


def test_an_image_without_lungs_has_none_to_lose():
    assert lost_share(np.zeros((8, 8), bool), np.array([0.5, 0.5, 0.6, 0.6])) == 0.0


def test_whole_and_cut_off_windows_differ_in_the_lungs_they_lose():
    views = Views(seed=0)
    whole = [lost_share(LUNGS, views._window_with(LUNGS, 0.0, WHOLE_UP_TO, most=0.12)) for _ in range(100)]
    cut = [lost_share(LUNGS, views._window_with(LUNGS, CUT_FROM, 0.75, most=0.6)) for _ in range(100)]
    assert max(whole) <= WHOLE_UP_TO
    assert min(cut) >= CUT_FROM


def test_a_close_up_shows_next_to_nothing_of_the_lungs():
    views = Views(seed=0)
    assert min(lost_share(LUNGS, views._close_up(LUNGS)) for _ in range(100)) >= 0.8


def test_a_frontal_view_stays_upright_and_a_turned_one_does_not():
    gradient = np.tile(np.linspace(0, 255, SIDE, dtype=np.uint8)[:, None], (1, SIDE))

    def falls_downwards(kind: str) -> np.ndarray:
        unit = Views(seed=3)(np.stack([gradient] * 24), [kind] * 24, [LUNGS] * 24)[:, 0]
        down = unit[:, 75:].mean(dim=(1, 2)) - unit[:, :37].mean(dim=(1, 2))
        across = (unit[:, :, 75:].mean(dim=(1, 2)) - unit[:, :, :37].mean(dim=(1, 2))).abs()
        return ((down > 0) & (down > across)).numpy()

    assert falls_downwards("frontal").all()
    assert not falls_downwards("turned").any()


def test_the_same_seed_draws_the_same_views():
    cached_images = np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE), dtype=np.uint8)
    kinds = ["frontal", "lateral", "cut_off", "turned", "other", "frontal"]
    once, again = (Views(seed=5)(cached_images, kinds, [None] * 6) for _ in range(2))
    assert bool((once == again).all())
    assert not bool((once == Views(seed=6)(cached_images, kinds, [None] * 6)).all())


def test_even_shares_give_every_source_the_same_chance():
    shares = draw_shares(["a"] * 90 + ["b"] * 10, 1.0)
    assert shares[:90].sum() == pytest.approx(0.5)
    assert draw_shares(["a"] * 90 + ["b"] * 10, 0.0)[:90].sum() == pytest.approx(0.9)


def test_outsiders_are_read_with_their_groups_and_what_cannot_be_read_is_named(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70), dtype=np.uint8)).save(
        tmp_path / "a.png"
    )
    (tmp_path / "b.png").write_bytes(b"no image at all")
    (tmp_path / "list.csv").write_text("image,group,part\na.png,photograph,test\nb.png,document,\n")
    items = read_ood_negatives(tmp_path / "list.csv")
    assert [(item.group, item.part, item.kind) for item in items] == [
        ("photograph", "test", "other"),
        ("document", "train", "other"),
    ]
    cached_images, refused = data.read_items(items, tmp_path / "cache")
    assert refused == ["", "not_an_image"]
    assert cached_images[0].std() > 10
    assert (data.read_items(items, tmp_path / "cache")[0] == cached_images).all()


def test_lateral_views_are_a_kind_of_their_own(tmp_path):
    (tmp_path / "list.csv").write_text("image,patient\na.png,p1\n")
    (item,) = read_ood_negatives(tmp_path / "list.csv", "lateral_chest")
    assert (item.kind, item.patient, item.group) == ("lateral", "p1", "lateral_chest")
