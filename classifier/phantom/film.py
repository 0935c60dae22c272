"""Film-like images from attenuation: scatter, quantum noise, film curve, collimation and markers."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from classifier.phantom.anatomy import Pose
from classifier.phantom.solids import Array

BITS = 12
WHITE = 2**BITS - 1
SCATTER_TO_PRIMARY = 0.35  # transmitted by the anti-scatter grid
PHOTONS = 5e7  # per cm^2 of unattenuated detector


def expose(attenuation: Array, *, scale: float, rng: np.random.Generator) -> Array:
    """-log of what reaches the detector, float32, with the noise of `scale` pixels per cm."""
    primary = np.exp(-attenuation)
    scatter = SCATTER_TO_PRIMARY * _blur(primary * np.clip((attenuation - 1) / 1.5, 0, 1), 3.0 * scale)
    arrived = primary + scatter
    photons = PHOTONS / scale**2
    noise = rng.standard_normal(arrived.shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, 0.5) * 1.6
    return -np.log(np.maximum(arrived + noise * np.sqrt(arrived / photons), 1e-6))


def develop(density: Array, lung: Array, pose: Pose, *, scale: float) -> Array:
    """Pixels uint16 in 0..WHITE: dynamic range compressed, detail kept, an S-shaped characteristic curve."""
    broad = _blur(density, 2.4 * scale)
    detail = density - ndimage.gaussian_filter(density, 0.13 * scale)
    even = density - 0.27 * broad + 0.55 * detail
    inside = lung > 5
    dark, bright = np.percentile(even[inside], 30), np.percentile(even[~inside & (density > 2.2)], 80)
    level = (even - dark) / max(1.2 * (bright - dark), 0.2)
    level = (level - 0.5) * pose.contrast + 0.5 + pose.exposure
    curve = 1 / (1 + np.exp(-(level - 0.44) * 3.0))
    curve = (curve - 0.03) / 0.9
    return np.clip(curve * WHITE + 0.5, 0, WHITE).astype(np.uint16)


def annotate(pixels: Array, pose: Pose, *, scale: float, letters: str = "R") -> Array:
    """Add black collimation margins, a lead marker on the patient's right and the word PHANTOM below it."""
    rows, columns = pixels.shape
    out = pixels.copy()
    top, right, bottom, left = (round(edge * scale) for edge in pose.collimation)
    frame = np.zeros(pixels.shape, np.float32)
    frame[top : rows - bottom, left : columns - right] = 1
    frame = ndimage.gaussian_filter(frame, 0.04 * scale)
    out = (out * frame + 40 * (1 - frame)).astype(np.uint16)
    lead = Image.new("L", (columns, rows), 0)
    draw = ImageDraw.Draw(lead)
    x, y = left + 1.3 * scale, top + 1.2 * scale
    draw.text((x, y), letters, fill=255, font=ImageFont.load_default(max(1.5 * scale, 6)))
    draw.text((x, y + 1.9 * scale), "PHANTOM", fill=190, font=ImageFont.load_default(max(0.5 * scale, 4)))
    ink = ndimage.gaussian_filter(np.asarray(lead, np.float32) / 255, 0.02 * scale)
    return (out * (1 - ink) + WHITE * 0.97 * ink).astype(np.uint16)


def _blur(image: Array, sigma: float) -> Array:
    """Wide Gaussian blur, computed at low resolution."""
    step = max(int(sigma / 3), 1)
    rows, columns = image.shape
    small = Image.fromarray(image).resize(
        (max(columns // step, 1), max(rows // step, 1)), Image.Resampling.BOX
    )
    soft = ndimage.gaussian_filter(np.asarray(small), sigma / step, mode="nearest")
    return np.asarray(Image.fromarray(soft).resize((columns, rows), Image.Resampling.BICUBIC))
