"""Public ImageNet weights fit our networks: the same numbers as timm and torchvision, untrained."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from classifier.artifact.weights import import_pretrained, load_artifact, save_artifact
from classifier.contract import ModelSpec, Slot
from classifier.errors import KEY_MISMATCH, NOT_AN_ARTIFACT, ArtifactError
from classifier.networks.registry import ARCHITECTURES, head_of, network_for
from classifier.networks.resnet_v2 import ResNetV2
from classifier.networks.torchvision_ops import torchvision

timm = pytest.importorskip("timm")


def lively(network: nn.Module) -> nn.Module:
    """Random norms too: with those of a fresh network many a wrong arrangement would go unnoticed."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.uniform_(-0.2, 0.2, generator=generator)
            module.running_mean.uniform_(-0.2, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


def parameters_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("arch", "public", "make"),
    [
        ("resnetv2", "resnetv2_50", timm.create_model),
        ("resnetv2_101", "resnetv2_101", timm.create_model),
        ("resnet50", "resnet50", torchvision.models.get_model),
        ("resnext50_32x4d", "resnext50_32x4d", torchvision.models.get_model),
    ],
)
def test_public_weights_give_the_public_networks_numbers(arch, public, make):
    theirs, spec = lively(make(public, num_classes=1000)), whole(arch, 1000)
    ours = network_for(spec)
    assert import_pretrained(ours, theirs.state_dict(), head=ARCHITECTURES[arch].head) == []
    images = torch.randn(5, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = theirs(images.expand(-1, 3, -1, -1))
        difference = (ours.eval()(images) - expected).abs().max()
    assert difference <= 1e-4 * expected.abs().max()
    stem = 2 * 7 * 7 * 64  # of the two channels that a grey image does not have
    assert parameters_of(ours) == parameters_of(theirs) - stem


def whole(arch: str, classes: int) -> ModelSpec:
    findings = tuple(f"f{number}" for number in range(classes))
    return ModelSpec("t", Slot.CXR, findings, arch=arch, layers=ARCHITECTURES[arch].layers, size=64)


def small(arch: str) -> ModelSpec:
    return ModelSpec("t", Slot.CXR, ("a", "b"), arch=arch, layers=(1, 1, 1, 1), size=64)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_logits_are_the_head_of_the_features(arch):
    network = network_for(small(arch)).eval()
    image = torch.randn(1, 1, 64, 64)
    features = network.forward_features(image)
    assert features.shape == (1, head_of(network, small(arch)).in_features, 2, 2)
    assert torch.allclose(network(image), network.forward_head(features))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_is_saved_and_loaded(arch, tmp_path):
    network, path = lively(network_for(small(arch))), tmp_path / "m.safetensors"
    save_artifact(path, spec=small(arch), classifier_state=network.state_dict(), card={}, storage="fp32")
    image = torch.randn(2, 1, 64, 64)
    with torch.inference_mode():
        assert torch.equal(load_artifact(path).network(image), network(image))


def test_an_unknown_architecture_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'alexnet'.*resnetv2_101"):
        network_for(replace(small("resnetv2"), arch="alexnet"))


def small_source() -> dict[str, torch.Tensor]:
    return ResNetV2(10, layers=(1, 1, 1, 1), width=8, channels=3).state_dict()


def test_a_classifier_of_other_classes_keeps_its_own_head():
    network = ResNetV2(3, layers=(1, 1, 1, 1), width=8)
    before = network.fc.weight.clone()
    assert import_pretrained(network, small_source()) == ["fc.weight", "fc.bias"]
    assert torch.equal(network.fc.weight, before)


def test_weights_are_read_from_a_safetensors_file(tmp_path):
    source = small_source()
    save_file(source, tmp_path / "public.safetensors")
    network = ResNetV2(3, layers=(1, 1, 1, 1), width=8)
    import_pretrained(network, tmp_path / "public.safetensors")
    assert torch.allclose(network.stem.conv.weight, source["stem.conv.weight"].sum(dim=1, keepdim=True))


def test_a_pickled_checkpoint_is_not_opened(tmp_path):
    torch.save(small_source(), tmp_path / "public.pth")
    with pytest.raises(ArtifactError) as caught:
        import_pretrained(ResNetV2(3, layers=(1, 1, 1, 1), width=8), tmp_path / "public.pth")
    assert caught.value.code == NOT_AN_ARTIFACT


def test_weights_of_another_network_are_refused():
    network = ResNetV2(3, layers=(2, 1, 1, 1), width=8)
    with pytest.raises(ArtifactError) as caught:
        import_pretrained(network, small_source())
    assert caught.value.code == KEY_MISMATCH
