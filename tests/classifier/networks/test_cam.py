"""The closed-form class activation map against the logits and against the grad-cam package."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from classifier.contract import ModelSpec, Slot
from classifier.networks.cam import CamUnavailable, cam_of
from classifier.networks.registry import ARCHITECTURES, cam_layer_of, network_for

SPEC = ModelSpec(
    name="t",
    slot=Slot.CXR,
    findings=("normal", "pneumonia", "covid19"),
    layers=(1, 1, 1, 1),
    width=8,
    size=96,
)


def network_of(arch: str, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    spec = replace(SPEC, arch=arch, width=8 if ARCHITECTURES[arch].free_width else 64)
    network = network_for(spec).eval()
    torch.nn.init.normal_(network.fc.weight, std=1.0)
    torch.nn.init.normal_(network.fc.bias)
    return network


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_closed_form_is_grad_cam(arch, activation):
    package = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.image import scale_cam_image

    # In double precision: rounding of a deep network in single precision differs between processors.
    network, spec = network_of(arch, seed=3).double(), replace(SPEC, activation=activation, arch=arch)
    images = torch.randn(2, 1, SPEC.size, SPEC.size, dtype=torch.float64)
    with torch.no_grad():
        features = network.forward_features(images)
        grids = cam_of(features, network, spec).numpy()
    largest, cells = 0.0, grids.shape[2] * grids.shape[3]
    with package.GradCAM(model=network, target_layers=[cam_layer_of(network, spec)]) as explainer:
        for index in range(len(spec.findings)):

            def contribution(logits, index=index):
                return logits[index] - (logits.mean() if activation == "softmax" else 0)

            theirs = explainer(input_tensor=images, targets=[contribution] * 2)
            view = scale_cam_image(np.maximum(grids[:, index] / cells, 0), (SPEC.size, SPEC.size))
            largest = max(largest, np.ptp(theirs))
            np.testing.assert_allclose(scale_cam_image(view), theirs, atol=1e-5)
    assert largest > 0.5


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_mean_of_a_map_is_its_contribution_to_the_logit(activation):
    network, spec = network_of("resnetv2", seed=4), replace(SPEC, activation=activation)
    with torch.no_grad():
        features = network.forward_features(torch.randn(2, 1, SPEC.size, SPEC.size))
        means = cam_of(features, network, spec).mean(dim=(2, 3))
        logits = network.forward_head(features) - network.fc.bias
    expected = logits - logits.mean(dim=1, keepdim=True) if activation == "softmax" else logits
    torch.testing.assert_close(means, expected)


def test_a_head_without_closed_form_states_so():
    network = network_of("resnetv2", seed=5)
    with pytest.raises(CamUnavailable):
        cam_of(torch.zeros(1, 256, 3, 3), network, replace(SPEC, head="attention"))
