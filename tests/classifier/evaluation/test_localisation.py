from __future__ import annotations

import numpy as np
import pytest

from classifier.evaluation.localisation import (
    Location,
    localisation,
    locate,
    read_locations,
    write_locations,
)
from classifier.evaluation.predictions import Case
from classifier.networks.preprocess import Box
from tests.classifier.made_up import FINDINGS, cases_of

LEFT = Box(0.0, 0.0, 0.5, 1.0)
GRID = [[3.0, -1.0], [0.0, 1.0]]


def case(finding: str, *, grid=GRID, box=None, patient="p") -> Case:
    """An image of the finding, whose map is `grid`; the maps of the others point elsewhere."""
    (one,) = cases_of(np.eye(3)[:1], np.eye(3)[[FINDINGS.index(finding)]], patients=[patient])
    grids = {name: [[0.0, 0.0], [0.0, 9.0]] for name in FINDINGS} | {finding: grid}
    return Case(one.row, one.prediction, grids, box)


def located(*args, boxes=(LEFT,), **how) -> Location:
    (one,) = locate([case(*args, **how)], {"north0.png": boxes})
    return one


def test_a_hit_is_a_maximum_inside_a_box_and_the_share_is_of_the_positive_map():
    found = located("covid19")
    assert (found.hit, found.share, found.chance) == (True, 0.75, 0.5)
    missed = located("covid19", grid=[[0.0, 1.0], [0.0, 0.0]])
    assert (missed.hit, missed.share) == (False, 0.0)


def test_a_map_without_a_positive_value_has_no_share():
    assert located("covid19", grid=[[-1.0, -2.0], [-2.0, -2.0]]).share is None


def test_maps_of_a_part_are_compared_in_the_coordinates_of_the_image():
    right_half = Box(0.5, 0.0, 1.0, 1.0)
    found = located("covid19", box=right_half, boxes=[Box(0.5, 0.0, 0.75, 1.0)])
    assert (found.hit, found.share, found.chance) == (True, 0.75, 0.5)
    assert not located("covid19", box=right_half).hit


def test_images_without_boxes_and_normal_ones_do_not_count():
    assert locate([case("covid19")], {"another.png": [LEFT]}) == []
    assert locate([case("normal")], {"north0.png": [LEFT]}) == []


def test_the_report_has_intervals_by_patient_and_survives_a_file(tmp_path):
    hits = [Location(f"{n}", "covid19", n % 2 == 0, 0.4 if n else None, 0.2) for n in range(10)]
    few = [Location("x", "pneumonia", True, 1.0, 0.3)]
    write_locations(tmp_path / "localisation.csv", hits + few)
    assert read_locations(tmp_path / "localisation.csv") == hits + few
    rows = {one.image: case("covid19", patient=f"p{n // 2}").row for n, one in enumerate(hits + few)}
    found = localisation(hits + few, rows, draws=50)
    covid = found["findings"]["covid19"]
    assert covid["pointing_game"] == {"value": 0.5, "low": 0.5, "high": 0.5}  # every patient has one of two
    assert covid["share_in_boxes"]["value"] == pytest.approx(0.4)
    assert (covid["maps"], covid["chance"]) == (10, pytest.approx(0.2))
    assert found["findings"]["pneumonia"] == {"maps": 1}
    assert found["overall"]["maps"] == 11
