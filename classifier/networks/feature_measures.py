"""How far an image's features are from those of the training images, and whether the image is mirrored.

Both are read from the classifier's pooled features, so they take no pass through a network; the state has no
sample and fits the weights of one classifier only.
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
class FeatureMeasures:
    """`centre` (channels,), `axes` (channels, k), `centres` (findings, k), `mirror_weight` (channels,).

    `axes` whiten the features within the findings, so that a squared distance to a finding's centre is a
    Mahalanobis distance with one covariance for all findings (Lee et al. 2018, arXiv:1807.03888).
    """

    centre: np.ndarray
    axes: np.ndarray
    centres: np.ndarray
    mirror_weight: np.ndarray
    mirror_bias: float

    def distance(self, pooled: np.ndarray) -> np.ndarray:
        """Pooled features (..., channels) to the root mean square distance (...) from the nearest centre."""
        z = (pooled.astype(np.float64) - self.centre) @ self.axes
        squared = ((z[..., None, :] - self.centres) ** 2).mean(axis=-1)
        return np.sqrt(squared.min(axis=-1))

    def mirrored(self, pooled: np.ndarray) -> np.ndarray:
        """Pooled features (..., channels) to the probability (...) that the image is mirrored."""
        return expit(pooled.astype(np.float64) @ self.mirror_weight + self.mirror_bias)

    def state(self) -> dict[str, Tensor]:
        """The tensors that the artifact stores: axes of length one, so that half precision can hold them."""
        scales = np.linalg.norm(self.axes, axis=0)
        arrays = {**vars(self), "axes": self.axes / scales, "scales": scales}
        stored = {name: np.atleast_1d(np.asarray(value, np.float32)) for name, value in arrays.items()}
        return {name: torch.from_numpy(array) for name, array in stored.items()}


def load_feature_measures(
    state: Mapping[str, Tensor] | None, channels: int, findings: int
) -> FeatureMeasures | None:
    """The measures of an artifact's tensors, None without any; raises ArtifactError (key_mismatch)."""
    if not state:
        return None
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    count = shapes.get("axes", (0, 0))[-1]
    expected = {
        "centre": (channels,),
        "axes": (channels, count),
        "scales": (count,),
        "centres": (findings, count),
        "mirror_weight": (channels,),
        "mirror_bias": (1,),
    }
    if shapes != expected or not count:
        raise ArtifactError(
            KEY_MISMATCH,
            f"the measures of the features have tensors {shapes}, not {expected}: "
            "fit them again with `warning-limits`",
        )
    arrays = {name: tensor.double().numpy() for name, tensor in state.items()}
    axes = arrays["axes"] * arrays.pop("scales")
    return FeatureMeasures(**{**arrays, "axes": axes, "mirror_bias": float(arrays["mirror_bias"][0])})
