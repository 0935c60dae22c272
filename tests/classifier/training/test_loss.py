"""The loss is torchvision's and PyTorch's own where they have it; rare and hard cases weigh as asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from classifier.contract import ModelSpec, Slot
from classifier.networks.torchvision_ops import torchvision
from classifier.training.loss import LOSSES, ClassificationLoss, distillation_of, losses_of, rarity_weights

SPEC = ModelSpec(name="tiny", slot=Slot.CXR, findings=("left", "right"), size=64)
SIGMOID = replace(SPEC, activation="sigmoid")
TARGETS = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])


@pytest.fixture
def logits():
    return torch.randn(4, 2, generator=torch.Generator().manual_seed(0))


def all_of(
    objective: ClassificationLoss, logits: torch.Tensor, targets: torch.Tensor = TARGETS
) -> torch.Tensor:
    return objective(logits, targets, torch.arange(len(logits)))


@pytest.mark.parametrize("spec", [SPEC, SIGMOID])
@pytest.mark.parametrize("loss", LOSSES)
def test_an_unknown_finding_teaches_nothing(spec, loss, logits):
    hidden = TARGETS.clone()
    hidden[2:] = torch.nan
    objective = ClassificationLoss(spec, ["a"] * 4, loss=loss, smoothing=0.1)
    assert all_of(objective, logits, hidden) == all_of(objective, logits[:2], TARGETS[:2])


def test_the_plain_loss_is_pytorchs_cross_entropy(logits):
    expected = functional.cross_entropy(logits, TARGETS, label_smoothing=0.1)
    assert all_of(ClassificationLoss(SPEC, ["a"] * 4, smoothing=0.1), logits) == pytest.approx(
        float(expected)
    )


@pytest.mark.parametrize("spec", [SPEC, SIGMOID])
def test_a_row_can_have_its_own_smoothing(spec, logits):
    own = losses_of(logits, TARGETS, spec, smoothing=torch.tensor([0.0, 0.3, 0.0, 0.3]))
    none, some = (losses_of(logits, TARGETS, spec, smoothing=share) for share in (0.0, 0.3))
    assert torch.allclose(own, torch.stack([none[0], some[1], none[2], some[3]]))
    assert not torch.isclose(none[1], some[1])


def test_a_soft_target_asks_for_its_own_shares():
    logits = torch.zeros(1, 2, requires_grad=True)
    losses_of(logits, torch.tensor([[0.7, 0.3]]), SPEC).sum().backward()
    assert torch.allclose(logits.grad, torch.tensor([[-0.2, 0.2]]))


def test_a_teacher_is_agreed_with_when_the_probabilities_are_the_same(logits):
    teacher = logits.log_softmax(dim=1)
    assert torch.allclose(distillation_of(logits + 3, teacher, 2.0), torch.zeros(4), atol=1e-6)
    assert (distillation_of(logits.flip(1), teacher, 2.0) > 0).all()
    teacher[1] = torch.nan
    assert torch.equal(distillation_of(logits.flip(1), teacher, 2.0) == 0, torch.arange(4) == 1)


def test_the_focal_loss_is_torchvisions(logits):
    expected = torchvision.ops.sigmoid_focal_loss(logits, TARGETS, alpha=-1, reduction="none").mean(dim=1)
    assert torch.allclose(losses_of(logits, TARGETS, SIGMOID, loss="focal"), expected)


def test_what_is_right_already_counts_for_little_in_the_focal_loss():
    logits = torch.tensor([[4.0, 0], [0, 4.0]])
    targets = torch.tensor([[1.0, 0], [1, 0]])
    plain, focal = (losses_of(logits, targets, SPEC, loss=loss) for loss in LOSSES)
    assert focal[0] < 0.01 * plain[0]
    assert focal[1] > 0.9 * plain[1]


def test_rare_findings_weigh_as_much_as_common_ones():
    targets = torch.tensor([[1.0, 0]] * 3 + [[0, 1.0]] + [[torch.nan, torch.nan]])
    weights = rarity_weights(targets)
    assert weights[:3].sum() == pytest.approx(float(weights[3]))
    assert weights[:4].mean() == pytest.approx(1)
    assert weights[4] == 0


def test_a_group_that_does_badly_gains_weight_and_keeps_it():
    objective = ClassificationLoss(SPEC, ["good", "good", "bad", "bad"], robust=0.5)
    logits = torch.tensor([[3.0, 0], [0, 3.0], [0, 3.0], [3.0, 0]])
    first = all_of(objective, logits)
    for _ in range(20):
        last = all_of(objective, logits)
    bad, good = objective.shares
    assert bad > 0.99
    assert (objective.shares.sum(), good > 0) == (pytest.approx(1), True)
    assert last > first
    restored = ClassificationLoss(SPEC, ["good", "bad"], robust=0.5)
    restored.restore(objective.state())
    assert torch.equal(restored.shares, objective.shares)


def test_a_group_that_is_not_in_the_batch_keeps_its_share():
    objective = ClassificationLoss(SPEC, ["a", "b"], robust=0.5)
    objective(torch.tensor([[5.0, 0]]), torch.tensor([[0.0, 1]]), torch.tensor([0]))
    assert torch.allclose(objective.shares, torch.tensor([0.5, 0.5]))
