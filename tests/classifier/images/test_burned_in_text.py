"""Writing in the image: words are seen, a single marker is not."""

from __future__ import annotations

import csv
import random
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from classifier.images.burned_in_text import burned_in, has_text
from classifier.images.read import read_image
from tests.classifier.images.samples import chest, dataset, write


def film(rows: int = 800, columns: int = 700) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 3, (rows, columns))
    return np.clip((chest(rows, columns) >> 4) * 0.8 + 20 + noise, 0, 255).astype(np.uint8)


def with_text(decoded: np.ndarray, text: str, *, size: int, grey: int, at: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(decoded)
    ImageDraw.Draw(image).multiline_text(at, text, font=ImageFont.load_default(size), fill=grey)
    return np.asarray(image)


def test_a_radiograph_without_writing_is_not_suspected() -> None:
    assert not has_text(film())


@pytest.mark.parametrize("size", [16, 24, 48])
@pytest.mark.parametrize(
    ("grey", "at"), [(255, (10, 10)), (255, (120, 300)), (0, (300, 40)), (230, (10, 600))]
)
def test_a_name_and_a_date_are_seen(size: int, grey: int, at: tuple[int, int]) -> None:
    assert has_text(with_text(film(), "MUSTERMANN\n03.02.1961", size=size, grey=grey, at=at))


@pytest.mark.parametrize("marker", ["R", "L", "AP", "R  PA"])
@pytest.mark.parametrize("size", [16, 48])
def test_a_side_marker_is_no_name(marker: str, size: int) -> None:
    assert not has_text(with_text(film(), marker, size=size, grey=255, at=(20, 20)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (400, 3), (64, 64)])
def test_an_image_of_any_shape_is_judged(shape: tuple[int, int]) -> None:
    assert not has_text(np.zeros(shape, np.uint8))


def test_an_image_of_nothing_but_marks_is_judged_in_time() -> None:
    snow = np.random.default_rng(0).integers(0, 256, (1024, 1024)).astype(np.uint8)
    started = time.process_time()
    has_text(snow)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(("text", "found"), [("YES", "declared"), ("NO", ""), (None, "")])
def test_the_header_is_believed_where_it_declares_writing(text: str | None, found: str) -> None:
    assert burned_in(film(), {"BurnedInAnnotation": text}) == found


def test_the_header_is_not_believed_where_it_denies_what_is_seen() -> None:
    written = with_text(film(), "MUSTERMANN\n03.02.1961", size=24, grey=255, at=(10, 10))
    assert burned_in(written, {"BurnedInAnnotation": "NO"}) == "suspected"


def test_reading_a_file_reports_of_it(tmp_path: Path) -> None:
    pixels = with_text(film(), "MUSTERMANN\n03.02.1961", size=24, grey=255, at=(10, 10))
    assert read_image(write(tmp_path / "x.dcm", dataset(pixels))).burned_in == "suspected"
    assert read_image(write(tmp_path / "y.dcm", dataset(film()))).burned_in == ""
    declared = dataset(film(), BurnedInAnnotation="YES")
    assert read_image(write(tmp_path / "z.dcm", declared)).burned_in == "declared"


@pytest.mark.slow
@pytest.mark.shared_data
def test_real_radiographs_are_rarely_suspected_and_names_on_them_nearly_always(shared_data: Path) -> None:
    with (shared_data / "cxr" / "manifest.csv").open() as file:
        names = [row["image"] for row in csv.DictReader(file) if row["source"] in {"nih", "kermany"}]
    plain, caught, drawn = 0, 0, 0
    chosen = random.Random(0).sample(names, 200)
    for name in chosen:
        with Image.open(shared_data / "cxr" / name) as image:
            decoded = np.asarray(image.convert("L"))
        plain += has_text(decoded)
        written = with_text(decoded, "DOE^JOHN\n1961-02-03", size=16, grey=255, at=(5, 5))
        if np.median((written.astype(int) - decoded)[written != decoded]) >= 50:
            drawn, caught = drawn + 1, caught + has_text(written)
    assert plain <= 0.05 * len(chosen)
    assert caught >= 0.9 * drawn > 50
