"""Heatmaps against readers' boxes: the pointing game (Zhang et al. 2018, arXiv:1608.00507) and the share of
the positive map inside the boxes.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.contract import NORMAL
from classifier.data.boxes import Boxes, holds, painted
from classifier.evaluation import bootstrap
from classifier.evaluation.predictions import Case
from classifier.evaluation.report import FEWEST
from classifier.networks.lung_segmenter import covered, share_inside
from classifier.networks.preprocess import WHOLE

if TYPE_CHECKING:
    from classifier.data.manifest import Row


@dataclass(frozen=True)
class Location:
    """The map of one finding that an image has.

    `hit`: the centre of the highest cell lies inside a box. `share`: of the positive map inside the boxes,
    None without a positive value. `chance`: of the map's area inside the boxes.
    """

    image: str
    finding: str
    hit: bool
    share: float | None
    chance: float


def locate(cases: Sequence[Case], boxes: Boxes) -> list[Location]:
    """The maps of the findings of the images with boxes."""
    return [
        _location(case, finding, boxes)
        for case in cases
        for finding in case.row.findings or ()
        if finding != NORMAL and case.row.image in boxes
    ]


def _location(case: Case, finding: str, boxes: Boxes) -> Location:
    drawn, part = boxes[case.row.image], case.box or WHOLE
    grid, inside = np.asarray(case.grids[finding]), painted(drawn)
    row, column = np.unravel_index(grid.argmax(), grid.shape)
    x = part.left + (column + 0.5) / grid.shape[1] * (part.right - part.left)
    y = part.top + (row + 0.5) / grid.shape[0] * (part.bottom - part.top)
    chance = float(covered(inside, (1, 1), part)[0, 0])
    return Location(case.row.image, finding, holds(drawn, x, y), share_inside(grid, inside, part), chance)


def localisation(
    locations: Sequence[Location], rows: Mapping[str, Row], *, draws: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Hits and shares of all maps and of each finding's, with intervals by patient; `rows` are by image."""
    found: dict[str, Any] = {"overall": _measures(locations, rows, draws, seed), "findings": {}}
    for finding in sorted({one.finding for one in locations}):
        of_finding = [one for one in locations if one.finding == finding]
        found["findings"][finding] = _measures(of_finding, rows, draws, seed)
    return found


def _measures(
    locations: Sequence[Location], rows: Mapping[str, Row], draws: int, seed: int
) -> dict[str, Any]:
    """Too few maps: only their number."""
    found: dict[str, Any] = {"maps": len(locations)}
    if len(locations) < FEWEST:
        return found
    shared = [one for one in locations if one.share is not None]
    for name, chosen in (("pointing_game", locations), ("share_in_boxes", shared)):
        values = [float(one.hit) if name == "pointing_game" else one.share for one in chosen]
        patients = [rows[one.image].patient for one in chosen]
        if len(chosen) >= FEWEST:
            found[name] = bootstrap.mean_interval(np.array(values), patients, draws=draws, seed=seed)
    return {**found, "chance": float(np.mean([one.chance for one in locations]))}


def write_locations(path: Path, locations: Sequence[Location]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([field.name for field in fields(Location)])
        for one in locations:
            table.writerow(["" if value is None else value for value in astuple(one)])


def read_locations(path: Path) -> list[Location]:
    """The locations of a file of `write_locations`."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Location(
                line["image"],
                line["finding"],
                line["hit"] == "True",
                float(line["share"]) if line["share"] else None,
                float(line["chance"]),
            )
            for line in csv.DictReader(file)
        ]
