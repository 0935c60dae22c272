"""Explanations as images: maps of the closed form or of the grad-cam package, drawn over the X-ray.

The closed form's map is in logits and is drawn on the model's own fixed scale, so that weak evidence looks
weak. The package's maps know only their own maximum; they are called relative wherever they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn

from classifier.contract import DISCLAIMER, Cam, ModelSpec
from classifier.inference.predictor import INFERENCE_FAILED, OUT_OF_MEMORY, Failure, Input, Predictor, exact
from classifier.networks.cam import last_map_layer
from classifier.networks.preprocess import grid_to_original, to_input

SAME_FOR_ALL = "eigencam"  # asks what stands out in the maps, not what speaks for a finding


class ExplainerMissing(Exception):
    """The explainer's package is not installed."""


def go_on() -> None:
    """What is done between two parts of a long explanation: nothing."""


def relative_cam(
    predictor: Predictor, item: Input, method: str, shown: str, *, between: Callable[[], None] = go_on
) -> Cam | Failure:
    """Maps of every finding by the grad-cam package, each in 0..1 of its own maximum.

    `shown` is the finding of which the share inside the lungs is told. `between` is called now and then; what
    it raises ends the work. Raises ExplainerMissing where the package is not installed.
    """
    spec, network = predictor.spec, predictor.exact_network
    try:
        with exact(predictor.device):
            (seen,) = predictor.companions.look([item.working])
            batch = to_input(item.working, spec, seen.box)[None].to(predictor.device)
            grids = relative_grids(method, network, batch, spec, range(len(spec.findings)), between=between)
    except torch.AcceleratorError:
        raise  # the device itself is lost
    except RuntimeError as error:
        exhausted = isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        return Failure(OUT_OF_MEMORY if exhausted else INFERENCE_FAILED, str(error))
    finally:
        network.zero_grad(set_to_none=True)
    if not np.isfinite(grids).all():
        return Failure(INFERENCE_FAILED, "the map is not finite")
    return Cam(
        grids=dict(zip(spec.findings, grids.tolist(), strict=True)),
        affine=grid_to_original(grids.shape[1:], item.original, seen.box),
        scale=1.0,
        inside_lungs=seen.inside_lungs(grids[spec.findings.index(shown)]),
    )


def relative_grids(
    method: str,
    network: nn.Module,
    batch: Tensor,
    spec: ModelSpec,
    findings: Sequence[int],
    *,
    between: Callable[[], None] = go_on,
) -> np.ndarray:
    """Maps (findings, h, w) of one image (1, 1, size, size) by the grad-cam package, in 0..1 of each one's
    maximum, at the resolution of the network's last map.

    Raises ExplainerMissing where the package is not installed.
    """
    try:
        from classifier.inference.explainers import CLASSES
    except ImportError as error:
        raise ExplainerMissing(f"{method} needs the grad-cam package: pip install grad-cam") from error
    targets = [contribution_of(finding, spec) for finding in findings]
    with (
        torch.enable_grad(),
        CLASSES[method](model=network, target_layers=[last_map_layer(network)]) as cam,
    ):
        cam.between = between
        if method == SAME_FOR_ALL:
            return np.repeat(cam(input_tensor=batch, targets=targets[:1]), len(targets), axis=0)
        if not cam.uses_gradients:  # one pass tells of all findings
            return cam(input_tensor=batch.repeat(len(targets), 1, 1, 1), targets=targets)
        maps = []
        for target in targets:
            between()
            maps.append(cam(input_tensor=batch, targets=[target])[0])
        return np.stack(maps)


def contribution_of(finding: int, spec: ModelSpec) -> Callable[[Tensor], Tensor]:
    """What is explained: the logit, with softmax less the classes' mean, as in the closed form."""
    if spec.activation == "softmax":
        return lambda logits: logits[..., finding] - logits.mean(dim=-1)
    return lambda logits: logits[..., finding]


def with_caption(image: np.ndarray, lines: list[str]) -> tuple[Image.Image, PngInfo]:
    """The image with lines of text below it, also as the PNG's own text; the disclaimer comes last."""
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
