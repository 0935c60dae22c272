"""The auxiliary networks of an artifact: input check and lung segmenter."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from classifier.artifact.weights import Artifact
from classifier.contract import ModelSpec
from classifier.networks.input_check import input_check_image, load_input_check
from classifier.networks.lung_segmenter import inside_lungs, load_segmenter, lung_box, lung_mask
from classifier.networks.preprocess import WHOLE, Box, on_pixels
from classifier.reasons import AbstentionReason


@dataclass(frozen=True)
class AuxiliaryResult:
    """The reason to withhold the result (None: none), the lung mask (None: no segmenter), the input box."""

    abstention: AbstentionReason | None = None
    lungs: np.ndarray | None = None
    box: Box = WHOLE

    def inside_lungs(self, grid: np.ndarray) -> float | None:
        """Share of the positive part of a map (h, w) of the box inside the lungs; None without a mask."""
        return None if self.lungs is None else inside_lungs(grid, self.lungs, self.box)


class AuxiliaryNetworks:
    """Input check and segmenter of an artifact, either of which may be absent, on one device.

    Raises ArtifactError (key_mismatch) for tensors that do not fit.
    """

    def __init__(self, artifact: Artifact, device: torch.device) -> None:
        self.device = device
        self.spec = artifact.spec
        self.input_check = load_input_check(artifact.input_check).to(device) if artifact.input_check else None
        self.segmenter = load_segmenter(artifact.segmenter, device) if artifact.segmenter else None

    def run(self, working: Sequence[np.ndarray]) -> list[AuxiliaryResult]:
        """The results for working images (H, W) uint16."""
        reasons: Sequence[AbstentionReason | None] = [None] * len(working)
        masks: Sequence[np.ndarray | None] = [None] * len(working)
        if self.input_check is not None:
            unit = torch.stack([input_check_image(image) for image in working]).to(self.device)
            reasons = self.input_check.judge(unit)
        if self.segmenter is not None:
            masks = lung_mask(self.segmenter, working)
        boxes = [box_of(mask, image.shape, self.spec) for mask, image in zip(masks, working, strict=True)]
        return [AuxiliaryResult(*result) for result in zip(reasons, masks, boxes, strict=True)]


def box_of(mask: np.ndarray | None, shape: tuple[int, int], spec: ModelSpec) -> Box:
    """The part of a working image of `shape` (rows, columns) that the spec uses as input."""
    found = None
    if spec.crop == "lungs" and mask is not None:
        found = lung_box(mask, spec.crop_margin)
    return on_pixels(found, shape) if found else WHOLE


def lung_boxes(spec: ModelSpec, segmenter: Mapping[str, Tensor] | None) -> dict[str, Any]:
    """The options of `image_cache.preprocessing_for` for the part of an image that the spec asks for.

    Raises ValueError for `crop` "lungs" without a segmenter.
    """
    if spec.crop == "whole":
        return {}
    if not segmenter:
        raise ValueError("--crop lungs needs a lung segmenter: name a model that carries one (--auxiliary)")
    network = load_segmenter(segmenter)

    def find(working: np.ndarray) -> Box:
        return box_of(lung_mask(network, [working])[0], working.shape, spec)

    digest = hashlib.sha256(b"".join(segmenter[name].numpy().tobytes() for name in sorted(segmenter)))
    return {"box_of": find, "boxes": f"{spec.crop} {spec.crop_margin} {digest.hexdigest()}"}
