"""Explainers of the grad-cam package (required to import this), with maps at feature map resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from pytorch_grad_cam import EigenCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, ScoreCAM
from torch import Tensor, nn
from torch.nn import functional

Target = Callable[[Tensor], Tensor]
BATCH = 32


class AtGridSize:
    """Does not resize maps to the image."""

    def get_target_width_height(self, input_tensor: Tensor) -> None:
        return None


class GridScoreCAM(AtGridSize, ScoreCAM):
    """Processes masked images in batches; the original holds all of them at once, which takes gigabytes.

    All images of one call must be the same; `between` is called before each batch.
    """

    between: Callable[[], None] = staticmethod(lambda: None)

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: np.ndarray,
        grads: np.ndarray | None,
    ) -> np.ndarray:
        self.activations_and_grads.release()  # its hooks would keep the feature maps of all following batches
        masks = torch.from_numpy(activations[0]).to(self.device)
        with torch.no_grad():
            logits = torch.cat([self._masked(input_tensor[:1], part) for part in masks.split(BATCH)])
            scores = torch.stack([torch.stack([target(row) for row in logits]) for target in targets])
        return torch.softmax(scores.cpu(), dim=-1).numpy()

    def _masked(self, image: Tensor, masks: Tensor) -> Tensor:
        """Logits (N, findings) of an image (1, 1, h, w) masked with each of the maps (N, gh, gw)."""
        self.between()
        size = image.shape[-2:]
        large = functional.interpolate(masks[:, None], size=size, mode="bilinear", align_corners=True)
        low, high = large.amin(dim=(2, 3), keepdim=True), large.amax(dim=(2, 3), keepdim=True)
        return self.model(image * (large - low) / (high - low + 1e-8)).float()


CLASSES = {
    name: type(f"Grid{base.__name__}", (AtGridSize, base), {})
    for name, base in (
        ("gradcam++", GradCAMPlusPlus), ("hirescam", HiResCAM), ("layercam", LayerCAM), ("eigencam", EigenCAM)
    )
} | {"scorecam": GridScoreCAM}  # fmt: skip
