"""Augmentation of radiographs in batches, on the batch's own device.

Each step undoes a habit of some hospital (collimation, markers, exposure, scanner, compression), because a
network will otherwise learn where an image comes from instead of what it shows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

ROTATION_DEGREES = 10.0
SCALE = (0.9, 1.25)
STRETCH = 0.1
SHIFT = 0.06
PADDING, PADDED = 0.3, 0.15  # largest share of a side that black padding takes; probability of padding
TAILS = 0.04  # largest share of the pixels that a window cuts off at either end
BORDER = 0.09


class Augment:
    """Random changes of unit squares (N, 1, size, size) in 0..1; same shape and range out.

    `flip` is the chance of a left-right mirror: 0 by default, since the heart's side carries meaning.
    `strength` scales the width of what is drawn and how often: 0 nothing, 2 strong. Drawn from its own
    generator, so that a seed fixes every image.
    """

    def __init__(
        self,
        *,
        seed: int,
        flip: float = 0.0,
        strength: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.flip, self.strength = flip, strength
        self.device = torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.basis = _cosine_basis().to(self.device)
        self.host = torch.Generator().manual_seed(seed)

    def __call__(self, unit: Tensor) -> Tensor:
        return self.appearance(self.geometry(unit))

    def with_masks(self, unit: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Images, and masks (N, channels, side, side) that are moved with them; zero outside the image."""
        matrix = self.movement(len(unit))
        return self.appearance(moved(unit, matrix)), moved(masks, matrix)

    def appearance(self, unit: Tensor) -> Tensor:
        if not self.strength:
            return unit
        unit = self.exposure(self.window(unit))
        unit = self.resolution(unit)
        unit = self.compression(unit)
        unit = self.noise(unit)
        return self.borders(unit).clamp(0.0, 1.0)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=self.generator, device=self.device)

    def chance(self, probability: float, *shape: int) -> Tensor:
        return self.uniform(0, 1, *shape) < probability

    def around(self, width: float, *shape: int) -> Tensor:
        """Between minus and plus a width that the strength scales."""
        return self.uniform(-width, width, *shape) * self.strength

    def number(self, low: float, high: float) -> float:
        """One number for the batch, drawn where Python can read it without waiting for the device."""
        return low + (high - low) * float(torch.rand((), generator=self.host))

    def geometry(self, unit: Tensor) -> Tensor:
        return moved(unit, self.movement(len(unit)))

    def movement(self, count: int) -> Tensor:
        """Rotation, scale, stretch, shift and mirror, as affine matrices (count, 2, 3)."""
        angle = self.around(ROTATION_DEGREES, count) * (math.pi / 180)
        zoom = torch.exp(self.uniform(math.log(SCALE[0]), math.log(SCALE[1]), count) * self.strength)
        stretch = torch.exp(self.around(STRETCH, count))
        mirror = 1 - 2 * self.chance(self.flip, count).float()
        cos, sin = torch.cos(angle), torch.sin(angle)
        shift = self.around(SHIFT, count, 2) * 2
        matrix = torch.stack(
            [
                torch.stack([mirror * cos / (zoom * stretch), -sin / zoom, shift[:, 0]], dim=1),
                torch.stack([mirror * sin / (zoom * stretch), cos / zoom, shift[:, 1]], dim=1),
            ],
            dim=1,
        )
        return self.padded(matrix)

    def padded(self, matrix: Tensor) -> Tensor:
        """Part of the batch has black padding at two opposite sides, as an image in another format has."""
        count = len(matrix)
        kept = 1 - self.uniform(0, PADDING, count) * self.chance(PADDED * self.strength, count)
        across = self.chance(0.5, count)
        shrunk = torch.stack([torch.where(across, 1 / kept, 1.0), torch.where(across, 1.0, 1 / kept)], dim=1)
        return torch.cat([matrix[:, :, :2] * shrunk[:, None], matrix[:, :, 2:]], dim=2)

    def window(self, unit: Tensor) -> Tensor:
        """Part of the batch gets other percentiles as black and white, and other contrast; no inversion."""
        count, one = len(unit), (len(unit), 1, 1, 1)
        sample = unit[:, 0, ::8, ::8].flatten(1).sort(dim=1).values
        tails = self.uniform(0, TAILS * self.strength, 2, count) * sample.shape[1]
        low = sample.gather(1, tails[0].long()[:, None]).reshape(one)
        high = sample.gather(1, sample.shape[1] - 1 - tails[1].long()[:, None]).reshape(one)
        windowed = ((unit - low) / (high - low).clamp(min=0.2)).clamp(0, 1)
        # Rises everywhere for bends from -1 to 2.
        bend = self.around(0.45, *one)
        curved = windowed + bend * windowed * (1 - windowed) * (2 * windowed - 1)
        return self.mix(unit, curved, 0.3 * self.strength)

    def exposure(self, unit: Tensor) -> Tensor:
        """Gamma, contrast, brightness, and a slope of illumination across the image."""
        count = len(unit)
        one = (count, 1, 1, 1)
        unit = unit.clamp(1e-4, 1.0) ** torch.exp(self.around(0.4, *one))
        unit = (unit - 0.5) * (1 + self.around(0.25, *one)) + 0.5 + self.around(0.08, *one)
        ramp = torch.linspace(-1, 1, unit.shape[-1], device=self.device)
        slope = self.around(0.1, count, 2)[:, :, None, None, None]
        return (unit + slope[:, 0] * ramp + slope[:, 1] * ramp[:, None]).clamp(0.0, 1.0)

    def resolution(self, unit: Tensor) -> Tensor:
        """Part of the batch is shrink and enlarged again, or blurred, or sharpened."""
        size = unit.shape[-1]
        small = max(8, round(size * self.number(0.35, 0.9) ** self.strength))
        low = functional.interpolate(unit, size=(small, small), mode="bilinear", antialias=True)
        low = functional.interpolate(low, size=(size, size), mode="bilinear")
        unit = self.mix(unit, low, 0.4 * self.strength)
        soft = functional.avg_pool2d(functional.pad(unit, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        return self.mix(unit, unit + self.number(-1.0, 1.5) * (unit - soft), 0.4 * self.strength)

    def compression(self, unit: Tensor) -> Tensor:
        """Rounds the cosine transform of 8 x 8 blocks, as a JPEG file does (ITU-T T.81 A.3.3)."""
        size = unit.shape[-1]
        if size % 8:
            return unit
        basis = self.basis
        blocks = unit.reshape(len(unit), size // 8, 8, size // 8, 8).transpose(2, 3)
        frequency = torch.arange(8, device=self.device)
        step = self.number(0.01, 0.12) * self.strength * (1 + frequency[:, None] + frequency) / 4
        rounded = torch.round(basis @ blocks @ basis.T / step) * step
        rounded = (basis.T @ rounded @ basis).transpose(2, 3).reshape(unit.shape)
        return self.mix(unit, rounded, 0.3 * self.strength)

    def noise(self, unit: Tensor) -> Tensor:
        strength = 0.04 * self.strength * self.uniform(0.0, 1.0, len(unit), 1, 1, 1) ** 2
        grain = torch.randn(unit.shape, generator=self.generator, device=self.device)
        return unit + strength * grain

    def borders(self, unit: Tensor) -> Tensor:
        """Collimation of the four sides; marks at the borders, and areas there that are painted out."""
        size, one = unit.shape[-1], (len(unit), 1, 1, 1)
        top, bottom, left, right = self.uniform(0, BORDER * self.strength, 4, *one)
        framed = ~_between(size, top, 1 - bottom, left, 1 - right)
        shade = torch.where(self.chance(0.8, *one), 0.0, self.uniform(0, 1, *one))
        unit = torch.where(framed & self.chance(0.4 * self.strength, *one), shade, unit)
        marks = self.uniform(0, 3, *one) * self.strength  # at strength 1: none, one or two
        for mark in range(2):
            height, width = self.uniform(0.03, 0.2, 2, *one)
            y = torch.where(self.chance(0.7, *one), self.uniform(0, 0.06, *one), 1 - height)
            x = self.uniform(0, 0.1, *one)
            x = torch.where(self.chance(0.5, *one), 1 - width - x, x)
            shade = self.uniform(0, 1, *one)
            shade = torch.where(shade < 0.4, 0.0, shade)
            marked = _between(size, y, y + height, x, x + width) & (marks > mark + 1)
            unit = torch.where(marked, shade, unit)
        return unit

    def mix(self, unit: Tensor, changed: Tensor, probability: float) -> Tensor:
        return torch.where(self.chance(probability, len(unit), 1, 1, 1), changed, unit)


def moved(images: Tensor, matrix: Tensor) -> Tensor:
    """Images (N, channels, h, w) under affine matrices (N, 2, 3) in shares of the image, zero outside it."""
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def _between(size: int, top: Tensor, bottom: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Where images lie inside rectangles, given in shares of their side: bool (N, 1, size, size)."""
    across = (torch.arange(size, device=top.device) + 0.5) / size
    down = across[:, None]
    return (down >= top) & (down < bottom) & (across >= left) & (across < right)


def _cosine_basis() -> Tensor:
    """Orthonormal 8-point discrete cosine transform, shape (8, 8)."""
    k = torch.arange(8, dtype=torch.float32)
    basis = torch.cos(math.pi / 8 * (k[None] + 0.5) * k[:, None]) / 2
    basis[0] /= math.sqrt(2)
    return basis
