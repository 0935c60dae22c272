from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from classifier.data.augment import Augment, moved


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


def test_without_strength_images_stay_as_they_are():
    unit = torch.rand(4, 1, 64, 64)
    assert torch.allclose(Augment(seed=1, strength=0)(unit), unit, atol=1e-4)


def test_a_stronger_augmentation_changes_images_more():
    unit = torch.rand(40, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    unit = functional.avg_pool2d(unit, 9, stride=1, padding=4)
    changes = [float((Augment(seed=1, strength=s)(unit) - unit).abs().mean()) for s in (0.3, 1.0, 2.0)]
    assert changes[0] < 0.8 * changes[1] < 0.8 * 0.9 * changes[2]


@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_a_window_never_inverts_an_image(strength):
    unit = torch.linspace(0, 1, 64).expand(200, 1, 64, 64).clone()  # brightens from left to right
    windowed = Augment(seed=0, strength=strength).window(unit)
    assert (windowed.diff(dim=-1) >= -1e-6).all()
    changed = ((windowed - unit).abs().amax(dim=(1, 2, 3)) > 1e-3).float().mean()
    assert 0.2 * strength < changed < 0.4 * strength


def test_part_of_the_images_has_black_padding_at_opposite_sides():
    plain = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]).expand(400, 2, 3)
    image = moved(torch.ones(400, 1, 64, 64), Augment(seed=0).padded(plain))[:, 0]
    top, bottom = image[:, 0].mean(1) < 0.5, image[:, -1].mean(1) < 0.5
    left, right = image[:, :, 0].mean(1) < 0.5, image[:, :, -1].mean(1) < 0.5
    assert torch.equal(top, bottom)
    assert torch.equal(left, right)
    assert not (top & left).any()
    assert 0.08 < (top | left).float().mean() < 0.2


def test_masks_move_with_the_images_at_any_resolution():
    unit = torch.zeros(20, 1, 64, 64)
    unit[:, :, 20:36, 28:50] = 1
    masks = functional.avg_pool2d(unit, 2)
    alone = Augment(seed=5, flip=0.5)(unit)
    augmented, masks = Augment(seed=5, flip=0.5).with_masks(unit, masks)
    assert torch.equal(augmented, alone)
    expected = functional.avg_pool2d(Augment(seed=5, flip=0.5).geometry(unit), 2)
    assert (masks - expected).abs().mean() < 0.01
    assert (masks - functional.avg_pool2d(unit, 2)).abs().mean() > 0.02
