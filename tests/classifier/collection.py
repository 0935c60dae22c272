"""A made-up collection that a tiny network can learn: a bright patch on the right or on the left."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 80


def image(finding: str, seed: int) -> np.ndarray:
    """Grey uint8 (80, 80): soft noise, with a patch where the finding puts it."""
    rng = np.random.default_rng(seed)
    grey = np.kron(rng.uniform(60, 110, (10, 10)), np.ones((8, 8))) + rng.normal(0, 6, (SIDE, SIDE))
    column = 12 if finding == "left" else 44
    grey[24:56, column : column + 24] += 90
    return grey.clip(0, 255).astype(np.uint8)


def write_collection(folder: Path, *, patients: int = 40, unknown: int = 0) -> Path:
    """Images and `manifest.csv`: two of each patient; sources north and south, findings left and right."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for patient in range(patients):
        finding, source = ("left", "right")[patient % 2], ("north", "south")[patient // 2 % 2]
        for visit in range(2):
            name = f"{patient:03}-{visit}.png"
            Image.fromarray(image(finding, 10 * patient + visit)).save(folder / name)
            text = "" if patient < unknown else finding
            lines.append({"image": name, "finding": text, "patient": f"p{patient:03}", "source": source})
    return write_manifest(folder / "manifest.csv", lines)


def write_manifest(path: Path, lines: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, lines[0])
        table.writeheader()
        table.writerows(lines)
    return path


def write_boxes(manifest: Path, *, left: str = "0,0,0.5,1", right: str = "0.5,0,1,1") -> Path:
    """`boxes.csv` next to a manifest of `write_collection`: a box of each image, by its finding."""
    with manifest.open(newline="") as file:
        rows = [line for line in csv.DictReader(file) if line["finding"]]
    lines = [f"{row['image']},{left if row['finding'] == 'left' else right}" for row in rows]
    path = manifest.with_name("boxes.csv")
    path.write_text("\n".join(["image,x0,y0,x1,y1", *lines]))
    return path
