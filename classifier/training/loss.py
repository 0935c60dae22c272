"""Cross entropy or focal loss, with weights for rare findings and hard groups."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from classifier.contract import ModelSpec

LOSSES = ("cross_entropy", "focal")
FOCUS = 2.0  # Lin et al. 2017, arXiv:1708.02002: the exponent that they found best


def losses_of(
    logits: Tensor,
    targets: Tensor,
    spec: ModelSpec,
    *,
    smoothing: float | Tensor = 0.0,
    loss: str = "cross_entropy",
) -> Tensor:
    """Loss of each row (N,) of logits and targets (N, findings); with sigmoid the mean over the findings.

    `smoothing`, one number or one for each row, is the share of a target that is distributed evenly.
    """
    evenly = torch.as_tensor(smoothing, dtype=targets.dtype, device=targets.device)[..., None]
    softened = targets * (1 - evenly) + evenly / (targets.shape[1] if spec.activation == "softmax" else 2)
    if spec.activation == "softmax":
        value = functional.cross_entropy(logits, softened, reduction="none")
        correct = (logits.softmax(dim=1) * targets).sum(dim=1)
        return (1 - correct) ** FOCUS * value if loss == "focal" else value
    value = functional.binary_cross_entropy_with_logits(logits, softened, reduction="none")
    if loss == "focal":
        value = (1 - torch.where(targets > 0.5, logits.sigmoid(), 1 - logits.sigmoid())) ** FOCUS * value
    return value.mean(dim=1)


def distillation_of(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Divergence of each row (N,) from a teacher's log-probabilities (N, findings; NaN unknown: 0).

    Both are softened by the temperature (Hinton et al. 2015, arXiv:1503.02531).
    """
    wanted = (torch.nan_to_num(teacher) / temperature).log_softmax(dim=1)
    given = (logits / temperature).log_softmax(dim=1)
    divergence = functional.kl_div(given, wanted, log_target=True, reduction="none").sum(dim=1)
    return temperature**2 * divergence * ~torch.isnan(teacher).any(dim=1)


class ClassificationLoss:
    """The loss of a batch as one number.

    `weights` (rows of the training part,) multiply a row's loss; `smoothing` is one number, or one for each
    of these rows. With `robust` above 0 the groups (a finding in a source) are weighed by how badly they do,
    by an exponentiated gradient of that step size (group DRO, Sagawa et al. 2020, arXiv:1911.08731). Rows
    with an unknown finding are ignored.
    """

    def __init__(
        self,
        spec: ModelSpec,
        groups: Sequence[str],
        *,
        weights: Tensor | None = None,
        loss: str = "cross_entropy",
        smoothing: float | Tensor = 0.0,
        robust: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.spec, self.loss, self.robust = spec, loss, robust
        self.smoothing = torch.as_tensor(smoothing, device=device).expand(len(groups))
        names = sorted(set(groups))
        self.group = torch.tensor([names.index(name) for name in groups], dtype=torch.long, device=device)
        self.weights = (torch.ones(len(groups)) if weights is None else weights).to(device)
        self.shares = torch.full((len(names),), 1 / len(names))

    def __call__(self, logits: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        """Loss of a batch: logits, targets (n, findings; NaN unknown), its rows (n,) of the training part."""
        known = ~torch.isnan(targets).any(dim=1)
        options = {"smoothing": self.smoothing[rows], "loss": self.loss}
        values = losses_of(logits, torch.nan_to_num(targets), self.spec, **options)
        values = values * self.weights[rows].to(values)
        if self.robust:
            return self._by_group(values[known], self.group[rows[known]])
        return (values * known).sum() / known.sum()

    def _by_group(self, values: Tensor, group: Tensor) -> Tensor:
        """Sum of the groups' mean losses, weighted by shares that grow for the worst groups."""
        member = functional.one_hot(group, len(self.shares)).to(values)
        counts = member.sum(dim=0)
        present = (counts > 0).cpu()
        means = (values @ member)[counts > 0] / counts[counts > 0]
        grown = self.shares[present] * torch.exp(self.robust * means.detach().cpu())
        self.shares[present] = grown * self.shares[present].sum() / grown.sum()
        shares = self.shares[present]
        return (means * (shares / shares.sum()).to(means)).sum()

    def state(self) -> dict[str, Tensor]:
        return {"shares": self.shares}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.shares = state["shares"].clone()


def rarity_weights(targets: Tensor) -> Tensor:
    """Weight of each row (N,), mean 1: findings (N, findings) count alike however rare they are."""
    known = torch.nan_to_num(targets)
    counts = known.sum(dim=0).clamp(min=1)
    weights = (known / counts).sum(dim=1)
    return weights * (weights > 0).sum() / weights.sum()
