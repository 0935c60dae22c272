"""torchvision's ResNets behind the interface of `ResNetV2`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from classifier.networks.torchvision_ops import torchvision

resnet = torchvision.models.resnet


class GreyResNet(resnet.ResNet):
    """ResNet or, with `groups`, ResNeXt for images of shape (N, 1, H, W); returns logits (N, classes)."""

    def __init__(self, classes: int, *, layers: Sequence[int], dropout: float = 0.0, **groups: int) -> None:
        super().__init__(resnet.Bottleneck, list(layers), num_classes=classes, **groups)
        self.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.dropout = nn.Dropout(dropout)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward_head(self, features: Tensor) -> Tensor:
        return self.fc(self.dropout(features.mean(dim=(2, 3))))

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))
