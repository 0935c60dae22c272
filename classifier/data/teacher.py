"""Predictions of another model, of any architecture, as targets for a new one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from classifier.data.manifest import Row
from classifier.data.tables.table import table_in

LEAST = 1e-6  # probability


def read_teacher(path: str | Path, rows: Sequence[Row], findings: Sequence[str]) -> np.ndarray:
    """Float32 (N, findings) log-probabilities of the rows' images; NaN where the file has none.

    A CSV with `image` and `p_<finding>` for each finding, as `train` and `evaluate` write it. Raises
    ValueError naming the line when a column or a number is wrong, or if no image has a prediction.
    """
    path, columns = Path(path), [f"p_{finding}".lower() for finding in findings]
    found: dict[str, list[float]] = {}
    for record in table_in(path, ("image", *columns)).records:
        texts = [record[name] for name in columns]
        if not any(texts):
            continue  # refused or failed
        try:
            values = [float(text) for text in texts]
            usable = all(0 <= value <= 1 for value in values) and abs(sum(values) - 1) < 0.01
        except ValueError:
            usable = False
        if not usable:
            raise ValueError(
                f"{path.name}, line {record.line}: {', '.join(texts)} are not probabilities that sum to 1"
            )
        found[record["image"]] = values
    known = [found.get(row.image, [np.nan] * len(findings)) for row in rows]
    if np.isnan(known).all():
        raise ValueError(f"{path.name} has no prediction of an image of the train part")
    return np.log(np.clip(np.array(known, dtype=np.float32), LEAST, 1))
