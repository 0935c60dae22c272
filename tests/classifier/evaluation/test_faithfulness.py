"""ROAD: a map that shows what the network used scores above one that does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from classifier.evaluation.faithfulness import METHODS, RANDOM, road, upsample
from tests.classifier.evaluation.test_shortcuts import CENTRE, SPEC, Looks, image, row

pytest.importorskip("pytorch_grad_cam")


def test_the_maps_that_readers_see_beat_a_random_one():
    rows = [row(number) for number in range(1, 25, 2)]
    found = road(Looks(CENTRE), SPEC, rows, 4, working=image, methods=METHODS[:1], draws=50)
    assert found["images"] == 4
    assert found["score"]["gradcam"]["value"] > 0.1
    assert found["lead_over_random"]["gradcam"]["low"] > 0
    assert set(found["score"]) == {"gradcam", RANDOM}


def test_the_same_seed_gives_the_same_scores_and_leaves_others_dice_alone():
    rows, network = [row(number) for number in range(6)], Looks(CENTRE)
    before = torch.get_rng_state()
    one, two = (road(network, SPEC, rows, 1, working=image, methods=METHODS[:1], draws=5) for _ in range(2))
    assert one == two
    assert (torch.get_rng_state() == before).all()


def test_a_map_is_spread_over_the_input_from_zero_to_one():
    full = upsample(torch.tensor([[2.0, 4.0], [2.0, 2.0]]), 8)
    assert (full.shape, full.min(), full.max()) == ((8, 8), 0, 1)
    assert full[0, -1] == 1
    assert np.isfinite(upsample(torch.ones(2, 2), 8)).all()
