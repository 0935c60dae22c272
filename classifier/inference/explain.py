"""Explanation maps by the grad-cam package, and captions for images with heatmaps.

The closed-form map (`networks.cam`) is in logits and drawn on a fixed scale of the model, so that weak
evidence looks weak. Maps of the package are relative to their own maximum and labelled so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn

from classifier.contract import DISCLAIMER, Cam, ModelSpec
from classifier.inference.predictor import (
    INFERENCE_FAILED,
    Failure,
    Input,
    Predictor,
    deterministic,
    failure_of,
)
from classifier.networks.preprocess import grid_to_original, to_input
from classifier.networks.registry import cam_layer_of

SAME_FOR_ALL = "eigencam"  # principal component of the features, independent of the finding


class ExplainerMissing(Exception):
    """The explainer's package is not installed."""


def relative_cam(
    predictor: Predictor, item: Input, method: str, shown: str, *, between: Callable[[], None] = lambda: None
) -> Cam | Failure:
    """Maps of every finding by the grad-cam package, each relative to its own maximum (0..1).

    `inside_lungs` is measured for the finding `shown`. `between` is called regularly and may raise to abort.
    Raises ExplainerMissing if the package is not installed.
    """
    spec, network = predictor.spec, predictor.fp32_network
    try:
        with deterministic(predictor.device):
            (auxiliary,) = predictor.auxiliary.run([item.working])
            batch = to_input(item.working, spec, auxiliary.box)[None].to(predictor.device)
            grids = relative_grids(method, network, batch, spec, range(len(spec.findings)), between=between)
    except torch.AcceleratorError:
        raise  # the device itself is lost
    except RuntimeError as error:
        return failure_of(error)
    finally:
        network.zero_grad(set_to_none=True)
    if not np.isfinite(grids).all():
        return Failure(INFERENCE_FAILED, "the map has non-finite values")
    return Cam(
        grids=dict(zip(spec.findings, grids.tolist(), strict=True)),
        affine=grid_to_original(grids.shape[1:], item.original, auxiliary.box),
        scale=1.0,
        inside_lungs=auxiliary.inside_lungs(grids[spec.findings.index(shown)]),
    )


def relative_grids(
    method: str,
    network: nn.Module,
    batch: Tensor,
    spec: ModelSpec,
    findings: Sequence[int],
    *,
    between: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Maps (findings, h, w) of one image (1, 1, size, size) by the grad-cam package, relative to their
    maximum (0..1), at the resolution of the last feature map. Raises ExplainerMissing if the package is not
    installed.
    """
    try:
        from classifier.inference.explainers import CLASSES
    except ImportError as error:
        raise ExplainerMissing(f"{method} needs the grad-cam package: pip install grad-cam") from error
    targets = [contribution(finding, spec) for finding in findings]
    with (
        torch.enable_grad(),
        CLASSES[method](model=network, target_layers=[cam_layer_of(network, spec)]) as cam,
    ):
        cam.between = between
        if method == SAME_FOR_ALL:
            return np.repeat(cam(input_tensor=batch, targets=targets[:1]), len(targets), axis=0)
        if not cam.uses_gradients:  # one pass covers all findings
            return cam(input_tensor=batch.repeat(len(targets), 1, 1, 1), targets=targets)
        maps = []
        for target in targets:
            between()
            maps.append(cam(input_tensor=batch, targets=[target])[0])
        return np.stack(maps)


def contribution(finding: int, spec: ModelSpec) -> Callable[[Tensor], Tensor]:
    """The explained output: the logit, with softmax minus the mean of the classes, as in the closed form."""
    if spec.activation == "softmax":
        return lambda logits: logits[..., finding] - logits.mean(dim=-1)
    return lambda logits: logits[..., finding]


def add_caption(image: np.ndarray, lines: list[str]) -> tuple[Image.Image, PngInfo]:
    """The image with lines of text and the disclaimer below it, and the same as PNG text metadata."""
    lines = [*lines, DISCLAIMER]
    height, width = image.shape[:2]
    font = ImageFont.load_default(size=max(11, width // 64))
    step = round(font.size * 1.4)
    sheet = Image.new("RGB", (width, height + step * len(lines) + step // 2))
    sheet.paste(Image.fromarray(image))
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        draw.text((step // 2, height + step // 4 + number * step), line, fill=(225, 225, 225), font=font)
    info = PngInfo()
    info.add_itxt("Description", "\n".join(lines))
    return sheet, info
