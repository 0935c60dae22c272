"""Right for the right reasons (Ross et al. 2017, arXiv:1703.03717): a loss on the class activation maps.

Where readers drew boxes, the map of the finding has to be high inside them and low elsewhere; in normal
images the maps of diseases must not be positive outside the lungs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.contract import NORMAL, ModelSpec
from classifier.data.boxes import Boxes, painted
from classifier.data.lung_fields import SIDE, LungFields
from classifier.data.manifest import Row
from classifier.inference.auxiliary import box_of
from classifier.networks.cam import cam_of
from classifier.networks.lung_segmenter import covered, load_segmenter, lung_mask, lungs_of
from classifier.networks.preprocess import WHOLE, Box
from classifier.networks.registry import cam_layer_of

LEAST_IN_CELL = 0.1  # share of some cell that boxes must cover after augmentation


def lung_fields(
    folder: Path, spec: ModelSpec, segmenter: Mapping[str, Tensor] | None, rows: Sequence[Row], boxes: Boxes
) -> LungFields | None:
    """A store for the lungs of training images that are normal or have boxes; None without a segmenter."""
    if not segmenter:
        return None
    network = load_segmenter(segmenter)

    def find(working: np.ndarray) -> tuple[Box, np.ndarray]:
        mask = lung_mask(network, [working])[0]
        box = box_of(mask, working.shape, spec)
        return box, covered(lungs_of(mask).any(axis=0), (SIDE, SIDE), box)

    digest = hashlib.sha256(f"{spec.crop} {spec.crop_margin}".encode())
    for name in sorted(segmenter):
        digest.update(segmenter[name].numpy().tobytes())
    wanted = [row.split == "train" and (row.findings == (NORMAL,) or row.image in boxes) for row in rows]
    return LungFields(folder / f"lungs-{digest.hexdigest()[:32]}.npz", wanted, find)


def regions_of(
    rows: Sequence[Row], boxes: Boxes, fields: LungFields | None, sha256: Mapping[str, str]
) -> np.ndarray:
    """Uint8 (N, 2, SIDE, SIDE): how much of each cell of the input lies inside boxes, and inside the lungs.

    Of 255. Where the lungs are not known, they are everywhere.
    """
    regions = np.zeros((len(rows), 2, SIDE, SIDE), np.uint8)
    regions[:, 1] = 255
    for region, row in zip(regions, rows, strict=True):
        part, lungs = fields.of(sha256[row.image]) if fields else (WHOLE, None)
        if lungs is not None:
            region[1] = lungs
        if row.image in boxes:
            region[0] = (covered(painted(boxes[row.image]), (SIDE, SIDE), part) * 255).round()
    return regions


class EvidenceLoss:
    """The loss of a batch's maps; it needs no second forward pass."""

    def __init__(self, spec: ModelSpec, network: nn.Module) -> None:
        self.spec, self.network = spec, network
        self.layer = cam_layer_of(network, spec)
        self.diseases = [k for k, finding in enumerate(spec.findings) if finding != NORMAL]
        self.normal = spec.findings.index(NORMAL) if NORMAL in spec.findings else None

    @contextmanager
    def features(self) -> Iterator[list[Tensor]]:
        """Collects the last feature map of a forward pass, also of a network that is wrapped."""
        found: list[Tensor] = []
        hook = self.layer.register_forward_hook(lambda _layer, _inputs, output: found.append(output))
        try:
            yield found
        finally:
            hook.remove()

    def __call__(self, features: Tensor, targets: Tensor, regions: Tensor) -> Tensor:
        """Features (n, C, h, w), targets (n, findings), regions (n, 2, side, side) in 0..1, augmented alike.

        With boxes: minus the log of the share of a softmax over the cells of the finding's map that lies
        inside them. Normal: the mean positive value (logits) of the other findings' maps outside the lungs.
        """
        maps = cam_of(features, self.network, self.spec)[:, self.diseases]
        boxes, lungs = functional.adaptive_avg_pool2d(regions, maps.shape[-2:]).unbind(dim=1)
        present = torch.nan_to_num(targets)[:, self.diseases]
        degree = present.sum(dim=1).clamp(max=1)
        shown = (
            torch.einsum("nf,nfhw->nhw", present, maps) / present.sum(dim=1).clamp(min=1e-6)[:, None, None]
        )
        most = boxes.amax(dim=(1, 2))
        inside = (boxes / most.clamp(min=LEAST_IN_CELL)[:, None, None]).flatten(1)
        share = (shown.flatten(1).softmax(dim=1) * inside).sum(dim=1)
        missed = -share.clamp(min=1e-6).log() * degree * (most >= LEAST_IN_CELL)
        if self.normal is None:
            return missed.mean()
        elsewhere = (maps.relu() * (1 - lungs)[:, None]).mean(dim=(1, 2, 3))
        return (missed + elsewhere * (targets[:, self.normal] == 1)).mean()
