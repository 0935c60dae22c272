"""The grad-cam package's explainers as they are used here; importing this needs that package.

Maps stay at the resolution of the network's last one, and ScoreCAM keeps to a batch at a time.
"""

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
    """A map is not enlarged to the image's size."""

    def get_target_width_height(self, input_tensor: Tensor) -> None:
        return None


class GridGradCAMPlusPlus(AtGridSize, GradCAMPlusPlus):
    pass


class GridHiResCAM(AtGridSize, HiResCAM):
    pass


class GridLayerCAM(AtGridSize, LayerCAM):
    pass


class GridEigenCAM(AtGridSize, EigenCAM):
    pass


class GridScoreCAM(AtGridSize, ScoreCAM):
    """The package's own holds every masked image at once, and as many maps again: gigabytes.

    The images of one call are the same one; `between` is called before each batch.
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
        self.activations_and_grads.release()  # its hooks would keep the maps of all that follows
        masks = torch.from_numpy(activations[0]).to(self.device)
        with torch.no_grad():
            logits = torch.cat([self._masked(input_tensor[:1], part) for part in masks.split(BATCH)])
            scores = torch.stack([torch.stack([target(row) for row in logits]) for target in targets])
        return torch.softmax(scores.cpu(), dim=-1).numpy()

    def _masked(self, image: Tensor, masks: Tensor) -> Tensor:
        """The logits (N, findings) of an image (1, 1, h, w) seen through each of the maps (N, gh, gw)."""
        self.between()
        size = image.shape[-2:]
        large = functional.interpolate(masks[:, None], size=size, mode="bilinear", align_corners=True)
        low, high = large.amin(dim=(2, 3), keepdim=True), large.amax(dim=(2, 3), keepdim=True)
        return self.model(image * (large - low) / (high - low + 1e-8)).float()


CLASSES = {
    "gradcam++": GridGradCAMPlusPlus,
    "hirescam": GridHiResCAM,
    "layercam": GridLayerCAM,
    "eigencam": GridEigenCAM,
    "scorecam": GridScoreCAM,
}
