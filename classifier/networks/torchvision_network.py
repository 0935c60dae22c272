"""torchvision's classifiers behind the interface of `ResNetV2`."""

from __future__ import annotations

from torch import Tensor, nn

from classifier.networks.torchvision_ops import torchvision

Bottleneck = torchvision.models.resnet.Bottleneck
ResNet = torchvision.models.resnet.ResNet


class TorchvisionNetwork(nn.Module):
    """A torchvision classifier for images of shape (N, channels, H, W); returns logits (N, classes).

    Parameters keep torchvision's names; only the first convolution `stem` differs when `channels` is not 3.
    The model's children up to `last` give the feature map, applied in order; `head` is its linear layer.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        stem: str = "conv1",
        last: str = "layer4",
        head: str = "fc",
        channels: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if channels != 3:
            rgb = model.get_submodule(stem)
            grey = nn.Conv2d(
                channels,
                rgb.out_channels,
                rgb.kernel_size,
                rgb.stride,
                rgb.padding,
                bias=rgb.bias is not None,
            )
            nn.init.kaiming_normal_(grey.weight, mode="fan_out", nonlinearity="relu")
            model.set_submodule(stem, grey)
        self.last, self.head = last, head
        for name, child in model.named_children():
            self.add_module(name, child)
        self.dropout = nn.Dropout(dropout)

    def forward_features(self, x: Tensor) -> Tensor:
        for name, child in self.named_children():
            x = child(x)
            if name == self.last:
                return x
        raise ValueError(f"the network has no layer {self.last!r}")

    def forward_head(self, features: Tensor) -> Tensor:
        return self.get_submodule(self.head)(self.dropout(features.mean(dim=(2, 3))))

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))
