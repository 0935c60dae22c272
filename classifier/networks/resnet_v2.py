"""ResNet-v2: full pre-activation residual network (He et al. 2016, arXiv:1603.05027) on torchvision's parts.

Modules are named and arranged as in timm's `resnetv2_50`, so its weights load key by key.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from classifier.networks.torchvision_ops import torchvision

conv1x1 = torchvision.models.resnet.conv1x1
conv3x3 = torchvision.models.resnet.conv3x3

EXPANSION = torchvision.models.resnet.Bottleneck.expansion


class PreActBottleneck(nn.Module):
    """norm-ReLU-conv three times (1x1, 3x3 with the stride, 1x1), added to an untouched identity."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, project: bool = False) -> None:
        super().__init__()
        middle = outputs // EXPANSION
        self.downsample = named(conv=conv1x1(inputs, outputs, stride)) if project else None
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv1x1(inputs, middle)
        self.norm2 = nn.BatchNorm2d(middle)
        self.conv2 = conv3x3(middle, middle, stride)
        self.norm3 = nn.BatchNorm2d(middle)
        self.conv3 = conv1x1(middle, outputs)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        preactivated = self.relu(self.norm1(x))
        shortcut = x if self.downsample is None else self.downsample(preactivated)
        out = self.conv1(preactivated)
        out = self.conv2(self.relu(self.norm2(out)))
        out = self.conv3(self.relu(self.norm3(out)))
        return out + shortcut


def named(**modules: nn.Module) -> nn.Sequential:
    """Modules in sequence, by name, so that parameters have timm's names."""
    return nn.Sequential(OrderedDict(modules))


def stage(inputs: int, outputs: int, depth: int, stride: int) -> nn.Sequential:
    first = PreActBottleneck(inputs, outputs, stride, project=True)
    return named(blocks=nn.Sequential(first, *(PreActBottleneck(outputs, outputs) for _ in range(depth - 1))))


class ResNetV2(nn.Module):
    """Pre-activation ResNet for images of shape (N, channels, H, W); returns logits (N, classes).

    `forward_features` gives the last normalised, rectified map (N, C, H/32, W/32), `forward_head` pools it,
    drops out and applies the linear `fc`: the shape of network for which Grad-CAM has a closed form.
    """

    def __init__(
        self,
        classes: int,
        *,
        layers: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        channels: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.stem = named(conv=nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False))
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        stages, inputs = [], width
        for index, depth in enumerate(layers):
            outputs = width * EXPANSION * 2**index
            stages.append(stage(inputs, outputs, depth, stride=1 if index == 0 else 2))
            inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.norm = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.stages(self.pool(self.stem(x)))))

    def forward_head(self, features: Tensor) -> Tensor:
        return self.fc(self.dropout(features.mean(dim=(2, 3))))

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))
