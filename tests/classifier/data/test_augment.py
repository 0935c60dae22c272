from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from classifier.data.augment import Augment


def test_augmentation_changes_images_and_keeps_shape_and_range():
    unit = torch.rand(6, 1, 64, 64)
    changed = Augment(seed=1)(unit)
    assert changed.shape == unit.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert all((a - b).abs().mean() > 0.01 for a, b in zip(unit, changed, strict=True))


def test_a_seed_fixes_every_augmented_image():
    unit = torch.rand(4, 1, 64, 64)
    assert torch.equal(Augment(seed=3)(unit), Augment(seed=3)(unit))
    assert not torch.equal(Augment(seed=3)(unit), Augment(seed=4)(unit))


@pytest.mark.parametrize(("flip", "turned"), [(0.0, 0), (1.0, 40)])
def test_left_stays_left_unless_a_flip_is_asked_for(flip, turned):
    unit = torch.zeros(40, 1, 64, 64)
    unit[:, :, 24:40, 8:24] = 1
    moved = Augment(seed=0, flip=flip).geometry(unit)
    brightness = moved[..., :32].sum((1, 2, 3)) - moved[..., 32:].sum((1, 2, 3))
    assert int((brightness < 0).sum()) == turned


def test_masks_move_with_the_images_at_any_resolution():
    unit = torch.zeros(20, 1, 64, 64)
    unit[:, :, 20:36, 28:50] = 1
    masks = functional.avg_pool2d(unit, 2)
    alone = Augment(seed=5, flip=0.5)(unit)
    augmented, masks = Augment(seed=5, flip=0.5).with_masks(unit, masks)
    assert torch.equal(augmented, alone)
    moved = functional.avg_pool2d(Augment(seed=5, flip=0.5).geometry(unit), 2)
    assert (masks - moved).abs().mean() < 0.01
    assert (masks - functional.avg_pool2d(unit, 2)).abs().mean() > 0.02
