"""Public ImageNet weights fit our networks: the same numbers as timm and torchvision, untrained."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from classifier.artifact.header import KEY_MISMATCH, NOT_AN_ARTIFACT, ArtifactError
from classifier.artifact.weights import import_pretrained
from classifier.contract import ModelSpec, Slot
from classifier.networks.registry import network_for
from classifier.networks.resnet_v1 import ResNetV1
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


@pytest.mark.parametrize("arch", ["resnetv2_50", "resnet50"])
def test_public_weights_give_the_public_networks_numbers(arch):
    ours_as = {"resnetv2_50": ResNetV2, "resnet50": ResNetV1}[arch]
    make = timm.create_model if arch == "resnetv2_50" else torchvision.models.get_model
    theirs, ours = lively(make(arch, num_classes=1000)), ours_as(1000)
    assert import_pretrained(ours, theirs.state_dict()) == []
    images = torch.randn(5, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = theirs(images.expand(-1, 3, -1, -1))
        difference = (ours.eval()(images) - expected).abs().max()
    assert difference <= 1e-4 * expected.abs().max()
    with torch.device("meta"):
        assert parameters_of(ours_as(1000, channels=3)) == parameters_of(theirs)


@pytest.mark.parametrize("arch", ["resnetv2", "resnet50"])
def test_logits_are_the_head_of_the_features(arch):
    spec = ModelSpec(name="t", slot=Slot.CXR, findings=("a", "b"), arch=arch, layers=(1, 1, 1, 1), size=64)
    network = network_for(spec).eval()
    image = torch.randn(1, 1, 64, 64)
    features = network.forward_features(image)
    assert features.shape == (1, network.features, 2, 2)
    assert torch.allclose(network(image), network.forward_head(features))


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
    assert torch.allclose(network.stem["conv"].weight, source["stem.conv.weight"].sum(dim=1, keepdim=True))


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
