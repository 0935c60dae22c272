"""The score of other abnormalities: does an image show something that the classifier does not know?

A logistic regression on the classifier's own pooled features, so it takes no pass through a network. Its
state is one weight per feature and no sample; it fits the weights of one classifier only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from classifier.errors import KEY_MISMATCH, ArtifactError


@dataclass(frozen=True)
class OtherAbnormality:
    """`weight` (channels,) and `bias`, float32."""

    weight: np.ndarray
    bias: float

    def score(self, pooled: np.ndarray) -> float:
        """Pooled features (channels,) of one image to the score, 0 to 1."""
        return float(expit(self.weight.astype(np.float64) @ pooled + self.bias))

    def state(self) -> dict[str, Tensor]:
        """The tensors that the artifact stores."""
        return {
            "weight": torch.from_numpy(self.weight.astype(np.float32)),
            "bias": torch.tensor([self.bias], dtype=torch.float32),
        }


def load_other_abnormality(state: Mapping[str, Tensor] | None, channels: int) -> OtherAbnormality | None:
    """The score of an artifact's tensors, None without any; raises ArtifactError (key_mismatch)."""
    if not state:
        return None
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if shapes != {"weight": (channels,), "bias": (1,)}:
        raise ArtifactError(
            KEY_MISMATCH,
            f"the score of other abnormalities has tensors {shapes}, not a weight of {channels} and a bias: "
            "fit it again with `other-abnormality`",
        )
    return OtherAbnormality(state["weight"].numpy(), float(state["bias"]))
