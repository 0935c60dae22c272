"""The lung segmenter that an artifact carries, and what is measured on the lungs it finds.

Masks are float arrays (2, h, w) of probabilities, over the whole image squashed to a square: first the lung
on the image's left (the patient's right lung in a frontal view), then the one on its right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from classifier.networks.preprocess import WHOLE, Box, unit_square
from classifier.networks.registry import check_names_and_shapes

SIZE = 128
CLIP_PERCENTILES = (0.5, 99.5)
MEAN, STD = 0.5, 0.25
WIDTHS = (16, 32, 48, 64, 96)
LUNGS = ("right", "left")  # of the patient, in a frontal view: the image's left comes first
SPECK = 0.005  # of the image: less is no lung


class LungSegmenter(nn.Module):
    """U-Net (Ronneberger et al. 2015): `segmenter_input` (N, 1, SIZE, SIZE) to logits (N, 2, SIZE, SIZE)."""

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.down = nn.ModuleList(_block(*pair) for pair in pairwise((1, *widths)))
        pairs = list(pairwise(widths))
        self.up = nn.ModuleList(_block(fine + coarse, fine) for fine, coarse in reversed(pairs))
        self.head = nn.Conv2d(widths[0], len(LUNGS), 1)

    def forward(self, images: Tensor) -> Tensor:
        kept, maps = [], images
        for depth, block in enumerate(self.down):
            maps = block(functional.max_pool2d(maps, 2) if depth else maps)
            kept.append(maps)
        for block, finer in zip(self.up, reversed(kept[:-1]), strict=True):
            coarse = functional.interpolate(maps, size=finer.shape[-2:], mode="bilinear")
            maps = block(torch.cat([finer, coarse], dim=1))
        return self.head(maps)


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (channels_in, channels_out):
        convolution = nn.Conv2d(channels, channels_out, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def load_segmenter(state: Mapping[str, Tensor], device: torch.device | str = "cpu") -> LungSegmenter:
    """The segmenter of an artifact, in evaluation mode. Raises ArtifactError (key_mismatch)."""
    segmenter = LungSegmenter()
    check_names_and_shapes(segmenter.state_dict(), state)
    segmenter.load_state_dict(dict(state), strict=True)
    return segmenter.eval().to(device, memory_format=torch.channels_last)


def segmenter_input(working: np.ndarray) -> Tensor:
    """Working image (H, W) uint16 to float32 (1, SIZE, SIZE): the segmenter's own, fixed preprocessing."""
    return (unit_square(working, SIZE, CLIP_PERCENTILES) - MEAN) / STD


@torch.inference_mode()
def lung_mask(segmenter: LungSegmenter, working: Sequence[np.ndarray]) -> np.ndarray:
    """Working images (H, W) uint16 to probabilities float32 (N, 2, SIZE, SIZE), in one batch."""
    if not working:
        return np.zeros((0, len(LUNGS), SIZE, SIZE), np.float32)
    device = next(segmenter.parameters()).device
    batch = torch.stack([segmenter_input(image) for image in working])
    batch = batch.to(device, memory_format=torch.channels_last)
    return segmenter(batch).float().sigmoid().cpu().numpy()


def lungs_of(mask: np.ndarray) -> np.ndarray:
    """Probabilities (2, h, w) to bool (2, h, w): each lung's largest connected part, if it is no speck."""
    kept = np.zeros(mask.shape, bool)
    for lung, found in zip(kept, mask >= 0.5, strict=True):
        labels, count = ndimage.label(found)
        if count:
            sizes = np.bincount(labels.ravel())[1:]
            lung[:] = (labels == sizes.argmax() + 1) & (sizes.max() >= SPECK * found.size)
    return kept


def inside_lungs(grid: np.ndarray, mask: np.ndarray, box: Box = WHOLE) -> float | None:
    """`share_inside` for the lungs of a mask (2, h, w)."""
    return share_inside(grid, lungs_of(mask).any(axis=0), box)


def share_inside(grid: np.ndarray, lungs: np.ndarray, box: Box = WHOLE) -> float | None:
    """Share of the positive part of a map (gh, gw) that lies inside the lungs (h, w).

    The lungs cover the squashed image, the map a box of it; a cell spreads its value evenly over its
    rectangle. None for a map without a positive value, 0 where there are no lungs.
    """
    positive = np.clip(np.asarray(grid, dtype=np.float64), 0, None)
    if not positive.sum() > 0:
        return None
    return float((positive * covered(lungs, positive.shape, box)).sum() / positive.sum())


def covered(mask: np.ndarray, grid: tuple[int, ...], box: Box = WHOLE) -> np.ndarray:
    """Share of each cell covered by a mask (h, w) of the image; the `grid` (rows, columns) spans the box."""
    edges = (box.top, box.bottom), (box.left, box.right)
    sides = zip(grid, mask.shape, edges, strict=True)
    rows, columns = (_overlap(cells, pixels, *ends) for cells, pixels, ends in sides)
    return rows @ mask @ columns.T


def _overlap(cells: int, pixels: int, first: float, last: float) -> np.ndarray:
    """(cells, pixels): the share of each cell of a line, from `first` to `last`, that each pixel covers."""
    edges = first + (last - first) * np.arange(cells + 1)[:, None] / cells
    low, high = np.arange(pixels) / pixels, np.arange(1, pixels + 1) / pixels
    covered = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None)
    return covered * cells / (last - first)


def lung_box(mask: np.ndarray, margin: float = 0.0) -> Box | None:
    """The box around both lungs, widened on each side by `margin` of its width or height, inside the image.

    None where there are no lungs.
    """
    return box_around(lungs_of(mask).any(axis=0), margin)


def box_around(lungs: np.ndarray, margin: float = 0.0) -> Box | None:
    """`lung_box` of a bool mask (h, w) of both lungs."""
    if not lungs.any():
        return None
    height, width = lungs.shape
    rows, columns = (np.flatnonzero(lungs.any(axis=axis)) for axis in (1, 0))
    top, bottom = float(rows[0]) / height, float(rows[-1] + 1) / height
    left, right = float(columns[0]) / width, float(columns[-1] + 1) / width
    x, y = margin * (right - left), margin * (bottom - top)
    return Box(max(0.0, left - x), max(0.0, top - y), min(1.0, right + x), min(1.0, bottom + y))
