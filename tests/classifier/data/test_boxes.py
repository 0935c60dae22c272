from __future__ import annotations

import pytest

from classifier.data.boxes import holds, painted, read_boxes
from classifier.networks.preprocess import Box


def test_boxes_are_read_for_the_images_that_are_used(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("image,x0,y0,x1,y1\na.png,0,0.1,0.5,0.6\na.png,0.5,0,1,1\nb.png,0,0,1,1\n")
    assert read_boxes(path, ["a.png", "c.png"]) == {"a.png": (Box(0, 0.1, 0.5, 0.6), Box(0.5, 0, 1, 1))}
    with pytest.raises(ValueError, match="has no box of an image of the manifest"):
        read_boxes(path, ["c.png"])


@pytest.mark.parametrize("corners", ["0.5,0,0.5,1", "0,0,2,1", "0,0,1,x", "0,0,1,"])
def test_a_box_that_is_none_is_stated_with_its_line(tmp_path, corners):
    path = tmp_path / "boxes.csv"
    path.write_text(f"image,x0,y0,x1,y1\na.png,0,0,1,1\na.png,{corners}\n")
    with pytest.raises(ValueError, match=f"boxes.csv, line 3: {corners.replace(',', ', ')}"):
        read_boxes(path, ["a.png"])


def test_a_missing_column_is_named(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("image,x0,y0,x1\na.png,0,0,1\n")
    with pytest.raises(ValueError, match="missing column y1"):
        read_boxes(path, ["a.png"])


def test_overlapping_boxes_count_once_and_a_thin_one_is_still_there():
    boxes = [Box(0, 0, 0.5, 0.5), Box(0, 0, 0.5, 0.5), Box(0.9, 0.9, 0.9001, 0.9001)]
    assert painted(boxes, 64).sum() == 32 * 32 + 1
    assert holds(boxes, 0.4, 0.4)
    assert not holds(boxes, 0.6, 0.4)
