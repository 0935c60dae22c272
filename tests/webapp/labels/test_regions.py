"""Polygons next to boxes, checked against the image; and the box of a heatmap, only after the blind label."""

from __future__ import annotations

import pytest

from tests import factories
from webapp.analysis.models import AnalysisCam
from webapp.core.errors import CodedError
from webapp.labels.annotation import LabelContent, case_label
from webapp.labels.models import Label
from webapp.labels.regions.suggestions import suggested_boxes

pytestmark = pytest.mark.django_db
SICK = {"normal": "absent", "pneumonia": "present"}
SQUARE = [[10, 10], [110.04, 10], [110, 90], [10, 90]]


@pytest.fixture
def item(queue):
    return queue.items.get(position=1)


def label(item, reader, *regions, after=None):
    content = LabelContent(SICK, regions=[{"finding": "pneumonia", **region} for region in regions])
    return case_label(item=item, reader=reader, content=content, after=after)


def test_a_polygon_is_kept_to_a_tenth_of_a_pixel_and_each_version_stays(item, owner):
    first = label(item, owner, {"points": SQUARE})
    first.refresh_from_db()
    kept = [[10.0, 10.0], [110.0, 10.0], [110.0, 90.0], [10.0, 90.0]]
    assert first.regions == [{"finding": "pneumonia", "points": kept}]
    second = label(item, owner, {"points": SQUARE[:3]}, after=first.pk)
    assert [len(one.regions[0]["points"]) for one in (first, second)] == [4, 3]
    assert second.supersedes == first


@pytest.mark.parametrize(
    ("region", "problem"),
    [
        ({"points": SQUARE[:2]}, "3 to 100 points"),
        ({"points": [[0, 0]] * 101}, "3 to 100 points"),
        ({"points": [[0, 0], [9, 9], [5]]}, "[x, y]"),
        ({"points": [[0, 0], [9, 9], ["5", 2]]}, "[x, y]"),
        ({"points": [[0, 0], [9, 9], [float("inf"), 2]]}, "[x, y]"),
        ({"points": [[0, 0], [9, 9], [True, 2]]}, "[x, y]"),
        ({"points": [[0, 0], [9, 9], [99999, 2]]}, "(99999, 2) is outside the image"),
        ({"points": [[0, 0], [9, 9], [-5, 2]]}, "(-5, 2) is outside the image"),
        ({"points": [[0, 0], [9, 9], [18, 18]]}, "encloses at least a pixel"),
        ({"points": [[0, 0], [10, 10], [12, 0], [0, 10]]}, "do not cross"),
        ({"points": SQUARE, "x": 1}, "either a box"),
        ({}, "either a box"),
        ({"points": SQUARE, "colour": "red"}, "colour"),
        ({"points": SQUARE, "suggested": 1}, "`suggested` is true or false"),
    ],
)
def test_a_polygon_that_the_image_cannot_have_is_refused_with_the_offending_value(
    item, owner, region, problem
):
    with pytest.raises(CodedError) as caught:
        label(item, owner, region)
    assert (caught.value.code, list(caught.value.fields)) == ("invalid", ["regions"])
    assert problem in caught.value.message
    assert not Label.objects.exists()


def test_a_box_from_the_heatmap_belongs_to_a_label_given_after_the_result(item, owner):
    box = {"x": 10, "y": 10, "width": 50, "height": 50, "suggested": True}
    with pytest.raises(CodedError) as caught:
        label(item, owner, box)
    assert "blind" in caught.value.message
    first = label(item, owner)
    second = label(item, owner, box, after=first.pk)
    assert (second.blind, second.regions[0]["suggested"]) == (False, True)


@pytest.fixture
def analysis(site):
    """A result whose map is strong in the two right cells of four, of 256 pixels each."""
    scan = factories.ScanFactory(site=site, rows=512, columns=512)
    analysis = factories.AnalysisFactory(scan=scan, status="done", probabilities={"pneumonia": 0.8})
    cam = factories.cam().as_dict() | {"scale": 2.0}
    cam["grids"] = {"pneumonia": [[0.0, 1.0], [-1.0, 0.6]], "covid19": [[0.1, 0.2], [0, 0]], "normal": [[9]]}
    AnalysisCam.objects.create(analysis=analysis, cam=cam)
    return analysis


def test_the_suggested_box_covers_the_strongest_part_of_the_map(analysis):
    assert suggested_boxes(analysis, ["normal", "covid19", "pneumonia", "nodule"]) == [
        {"finding": "pneumonia", "x": 256.0, "y": 0.0, "width": 256.0, "height": 512.0, "suggested": True}
    ]


def test_nothing_is_suggested_from_a_withheld_result(analysis):
    analysis.withheld = True
    assert suggested_boxes(analysis, ["pneumonia"]) == []
