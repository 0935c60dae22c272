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
from torch.nn import functional

from classifier.cam import last_map_layer
from classifier.contract import DISCLAIMER, ModelSpec
from classifier.preprocess import Affine

CLOSED_FORM = "gradcam"
RELATIVE = {
    "gradcam++": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "eigencam": "EigenCAM",
    "scorecam": "ScoreCAM",
}
METHODS = (CLOSED_FORM, *RELATIVE)

# Inferno (S. van der Walt, N. Smith, CC0) at 33 stops; the viewer's colours.js has the same ones.
INFERNO = np.frombuffer(
    bytes.fromhex(
        "000004 040312 0b0724 150b37 210c4a 2f0a5b 3d0965 4a0c6b 57106e 64156e 71196e "
        "7d1e6d 8a226a 972766 a32c61 b0315b bc3754 c73e4c d24644 db503b e45a31 eb6628 "
        "f1731d f68013 f98e09 fb9d07 fcac11 fbbc21 f9cb35 f5db4c f2ea69 f3f68a fcffa4"
    ),
    dtype=np.uint8,
).reshape(-1, 3)


class ExplainerMissing(Exception):
    """The explainer's package is not installed."""


def inferno(values: np.ndarray) -> np.ndarray:
    """Values in 0..1 of any shape to RGB in 0..1, one axis more."""
    places = np.linspace(0, 1, len(INFERNO))
    return np.stack([np.interp(values, places, channel) for channel in INFERNO.T], axis=-1) / 255


def sample(grid: np.ndarray, affine: Affine, original: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """A grid, bilinear, at the pixels of a picture of `shape` that shows a whole `original` (rows, columns).

    `affine` is that of `contract.Cam`. Half a cell beyond the outermost centres the map ends, and is 0.
    """
    to_grid = np.linalg.inv(np.array([affine[:3], affine[3:], (0, 0, 1)]))
    y, x = ((np.arange(n) + 0.5) * full / n - 0.5 for n, full in zip(shape, original, strict=True))
    points = np.stack([*np.broadcast_arrays(x[None, :], y[:, None], 1.0)], axis=-1) @ to_grid.T
    unit = (2 * points[..., :2] + 1) / np.array(grid.shape[::-1]) - 1
    sampled = functional.grid_sample(
        torch.from_numpy(np.asarray(grid, dtype=np.float64))[None, None],
        torch.from_numpy(unit)[None],
        padding_mode="border",
        align_corners=False,
    )[0, 0].numpy()
    return np.where((np.abs(unit) <= 1 + 1e-9).all(axis=-1), sampled, 0.0)


def overlay(preview: np.ndarray, strength: np.ndarray, *, opacity: float = 0.6) -> np.ndarray:
    """Grey preview (h, w) uint8 under a map (h, w), drawn from 0 to 1; the opacity follows the value."""
    strength = np.clip(strength, 0, 1)
    alpha = (opacity * strength)[..., None]
    grey = preview[..., None] / 255
    return np.rint(255 * ((1 - alpha) * grey + alpha * inferno(strength))).astype(np.uint8)


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
