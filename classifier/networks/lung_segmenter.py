"""The lung segmenter that an artifact carries, and what is measured on the lungs it finds.

Masks are float arrays (2, h, w) of probabilities, over the whole image squashed to a square: first the lung
on the image's left (the patient's right lung in a frontal view), then the one on its right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial import ConvexHull
from torch import Tensor, nn
from torch.nn import functional

from classifier.errors import KEY_MISMATCH, ArtifactError
from classifier.networks.preprocess import WHOLE, Box, unit_square

SIZE = 128
CLIP_PERCENTILES = (0.5, 99.5)
MEAN, STD = 0.5, 0.25
WIDTHS = (16, 32, 48, 64, 96)
LUNGS = ("right", "left")  # of the patient, in a frontal view: the image's left comes first
SPECK = 0.005  # of the image: less is no lung
EDGE = 2  # pixels: a lung that comes so near to the image's edge runs out of it
GAP = 0.35  # the mediastinum's width, in widths of a lung
MISSING_LIMIT = 0.05  # of both lungs, as estimated: beyond it the image counts as cutting them off


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
    own = segmenter.state_dict()
    if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in state.items()}:
        wrong = sorted(set(own) ^ set(state)) or [n for n in own if own[n].shape != state[n].shape]
        raise ArtifactError(KEY_MISMATCH, f"not the lung segmenter's tensors: {wrong[:5]}")
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
    edges = (box.top, box.bottom), (box.left, box.right)
    sides = zip(positive.shape, lungs.shape, edges, strict=True)
    rows, columns = (_overlap(cells, pixels, *ends) for cells, pixels, ends in sides)
    return float((positive * (rows @ lungs @ columns.T)).sum() / positive.sum())


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
    (top, bottom), (left, right) = (
        (float(line[0]) / size, float(line[-1] + 1) / size)
        for line, size in zip((np.flatnonzero(lungs.any(axis=a)) for a in (1, 0)), lungs.shape, strict=True)
    )
    x, y = margin * (right - left), margin * (bottom - top)
    return Box(max(0.0, left - x), max(0.0, top - y), min(1.0, right + x), min(1.0, bottom + y))


@dataclass(frozen=True)
class LungGeometry:
    """What a mask shows of the lungs, each a plain measure; all 0 where there are none.

    Areas are shares of the image, contacts the share of that side's length that lung touches. `symmetry` is
    the smaller lung's area over the larger's; `solidity` a lung's area over its convex hull's, the lesser.
    `missing` estimates which share of both lungs lies outside the image.
    """

    right_area: float
    left_area: float
    contact_left: float
    contact_right: float
    contact_top: float
    contact_bottom: float
    symmetry: float
    solidity: float
    missing: float
    box: Box | None


def geometry(mask: np.ndarray) -> LungGeometry:
    """The measures of a mask of probabilities (2, h, w)."""
    lungs = lungs_of(mask)
    touched = np.array([_edges(lung) for lung in lungs])
    areas = lungs.mean(axis=(1, 2))
    sides = touched.sum(axis=0) / np.array([mask.shape[1]] * 2 + [mask.shape[2]] * 2)
    left, right, top, bottom = sides.clip(max=1.0).tolist()
    return LungGeometry(
        right_area=float(areas[0]),
        left_area=float(areas[1]),
        contact_left=left,
        contact_right=right,
        contact_top=top,
        contact_bottom=bottom,
        symmetry=float(areas.min() / areas.max()) if areas.max() else 0.0,
        solidity=min((_solidity(lung) for lung in lungs if lung.any()), default=0.0),
        missing=_missing(lungs, touched),
        box=box_around(lungs.any(axis=0)),
    )


def cut_off(found: LungGeometry) -> bool:
    """Whether too much of the lungs lies outside the image; False where no lungs were found at all."""
    return found.missing > MISSING_LIMIT


def _edges(lung: np.ndarray) -> list[int]:
    """Pixels along the left, right, upper and lower edge that a bool lung (h, w) comes within EDGE of."""
    columns, rows = (lung[:, :EDGE], lung[:, -EDGE:]), (lung[:EDGE], lung[-EDGE:])
    return [int(b.any(axis=1).sum()) for b in columns] + [int(b.any(axis=0).sum()) for b in rows]


def _solidity(lung: np.ndarray) -> float:
    rows = np.flatnonzero(lung.any(axis=1))
    first, last = lung[rows].argmax(axis=1), lung.shape[1] - lung[rows, ::-1].argmax(axis=1)
    corners = [np.stack([rows + down, ends], axis=1) for ends in (first, last) for down in (0, 1)]
    return float(lung.sum() / ConvexHull(np.concatenate(corners)).volume)


def _missing(lungs: np.ndarray, touched: np.ndarray) -> float:
    """The estimated share of both lungs that lies outside: of one that an edge cuts, of one not seen."""
    areas = lungs.sum(axis=(1, 2)).astype(float)
    if not areas.any():
        return 0.0
    shares = [_share_beyond(lung, edges, areas.max()) for lung, edges in zip(lungs, touched, strict=True)]
    if not areas.all():
        seen = int(areas.argmax())
        shares[1 - seen] = _mirror_outside(lungs[seen], right_of_it=seen == 0)
    whole = [areas.max()] * 2 if not areas.all() else areas / (1 - np.minimum(shares, 0.9))
    return float(np.average(shares, weights=whole))


def _share_beyond(lung: np.ndarray, edges: Sequence[int], larger: float) -> float:
    """The share of a lung that its longest cut by an edge takes away, if it were an ellipse cut there.

    A cut as long as the lung is wide takes half; of a lung much smaller than the other one more is lost.
    """
    if not max(edges):
        return 0.0
    height, width = (float(lung.any(axis=axis).sum()) for axis in (1, 0))
    r = max(
        min(edge / extent, 1.0) for edge, extent in zip(edges, (height, height, width, width), strict=True)
    )
    cap = (math.asin(r) - r * math.sqrt(1 - r * r)) / math.pi
    return max(cap, 1 - lung.sum() / larger if r > 0.5 else 0.0)


def _mirror_outside(lung: np.ndarray, *, right_of_it: bool) -> float:
    """The share of the lung's mirror image, across the mediastinum, that would lie outside the image."""
    columns = lung.sum(axis=0)
    across = np.flatnonzero(columns)
    gap = GAP * (across[-1] + 1 - across[0])
    mirrored = 2 * across[-1] + 1 + gap - across if right_of_it else 2 * across[0] - gap - across - 1
    outside = (mirrored < 0) | (mirrored >= lung.shape[1])
    return float(columns[across][outside].sum() / columns.sum())
