"""Explanations as pictures: maps of the closed form or of the grad-cam package, drawn over the X-ray.

The closed form's map is in logits and is drawn on the model's own fixed scale, so that weak evidence looks
weak. The package's maps know only their own maximum; they are called relative wherever they are shown.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn

from classifier.cam import last_map_layer
from classifier.contract import DISCLAIMER, ModelSpec

CLOSED_FORM = "gradcam"
RELATIVE = {
    "gradcam++": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "eigencam": "EigenCAM",
    "scorecam": "ScoreCAM",
}
METHODS = (CLOSED_FORM, *RELATIVE)


class ExplainerMissing(Exception):
    """The explainer's package is not installed."""


def relative_map(method: str, network: nn.Module, batch: Tensor, finding: int, spec: ModelSpec) -> np.ndarray:
    """Map (size, size) of one picture (1, 1, size, size) by the grad-cam package, in 0..1 of its own maximum.

    Raises ExplainerMissing where the package is not installed.
    """
    try:
        import pytorch_grad_cam
    except ImportError as error:
        raise ExplainerMissing(f"{method} needs the grad-cam package: pip install grad-cam") from error
    explainer = getattr(pytorch_grad_cam, RELATIVE[method])
    with torch.enable_grad(), explainer(model=network, target_layers=[last_map_layer(network)]) as cam:
        return cam(input_tensor=batch, targets=[contribution_of(finding, spec)])[0]


def contribution_of(finding: int, spec: ModelSpec) -> Callable[[Tensor], Tensor]:
    """What is explained: the logit, with softmax less the classes' mean, as in the closed form."""
    if spec.activation == "softmax":
        return lambda logits: logits[..., finding] - logits.mean(dim=-1)
    return lambda logits: logits[..., finding]


def with_caption(picture: np.ndarray, lines: list[str]) -> tuple[Image.Image, PngInfo]:
    """The picture with lines of text below it, also as the PNG's own text; the disclaimer comes last."""
    lines = [*lines, DISCLAIMER]
    height, width = picture.shape[:2]
    font = ImageFont.load_default(size=max(11, width // 64))
    step = round(font.size * 1.4)
    sheet = Image.new("RGB", (width, height + step * len(lines) + step // 2))
    sheet.paste(Image.fromarray(picture))
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        draw.text((step // 2, height + step // 4 + number * step), line, fill=(225, 225, 225), font=font)
    info = PngInfo()
    info.add_itxt("Description", "\n".join(lines))
    return sheet, info
