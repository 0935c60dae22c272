"""Class activation maps of every class from one forward pass.

With global average pooling and a linear head, Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) of a class
is its weights applied to the last feature map (Zhou et al. 2016, arXiv:1512.04150): no backward pass needed.
"""

from __future__ import annotations

from torch import Tensor, einsum, nn

from classifier.contract import ModelSpec
from classifier.networks.registry import head_of


class CamUnavailable(Exception):
    """The model's head has no closed-form class activation map."""


def cam_of(features: Tensor, network: nn.Module, spec: ModelSpec) -> Tensor:
    """Feature maps (N, C, h, w) to grids (N, findings, h, w) float32, in logits.

    A grid's mean is the class's logit less its bias; with softmax, less the mean over the classes, since only
    differences between classes count there. Raises CamUnavailable for another head than pool_linear.
    """
    if spec.head != "pool_linear":
        raise CamUnavailable(f"no closed-form map for head {spec.head!r}")
    weights = head_of(network, spec).weight.float()
    if spec.activation == "softmax":
        weights = weights - weights.mean(dim=0)
    return einsum("fc,nchw->nfhw", weights, features.float())
