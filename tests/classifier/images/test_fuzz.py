"""Damaged files of every kind get a picture or a coded refusal, never an exception, a crash or a hang."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.errors import Refused
from classifier.images.reading import read
from classifier.images.sandbox import ParsingHelper
from tests.classifier.images.samples import CT, LOSSLESS, LOSSY, RAW, chest, ct_slice, dataset, write

SMALL = chest(70, 66)
HEADER_BYTES = 700


def cut(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(len(data)) :]


def flip(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 3, 20))):
        data[dice.randrange(len(data))] = dice.randrange(256)


def flip_in_header(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 4))):
        data[dice.randrange(min(len(data), HEADER_BYTES))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF))


def drop(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.choice((1, 2, 40))]


def double(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    data[at:at] = data[at : at + dice.choice((1, 2, 40))]


def fill(data: bytearray, dice: random.Random) -> None:
    at, size = dice.randrange(len(data)), dice.choice((4, 64))
    data[at : at + size] = bytes([dice.choice((0, 0xFF))]) * size


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    cut,
    flip,
    flip_in_header,
    flip_in_header,
    drop,
    double,
    fill,
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """One healthy file of every kind."""
    folder = tmp_path_factory.mktemp("originals")
    shallow = (SMALL >> 4).astype(np.uint8)
    Image.fromarray(shallow).save(folder / "grey.png")
    Image.fromarray(SMALL).save(folder / "deep.png")
    Image.fromarray(shallow).convert("P").save(folder / "palette.png")
    Image.fromarray(shallow).convert("RGB").save(folder / "colour.jpg")
    for syntax in RAW + LOSSLESS + LOSSY:
        pixels = shallow if syntax == LOSSY[0] else SMALL
        made = dataset(pixels, syntax=syntax, bits=8 if syntax == LOSSY[0] else 12)
        write(folder / f"{syntax}.dcm", made)
    write(folder / "ct.dcm", dataset(ct_slice(70, 66), **CT, WindowCenter="40", WindowWidth="400"))
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def damaged(originals: list[bytes], seed: int, count: int) -> Iterator[bytes]:
    dice = random.Random(seed)
    for number in range(count):
        data = bytearray(originals[number % len(originals)])
        for _ in range(dice.choice((1, 1, 2))):
            if data:
                dice.choice(MUTATIONS)(data, dice)
        yield bytes(data)


def test_every_original_is_read(originals: list[bytes], tmp_path: Path) -> None:
    for number, data in enumerate(originals):
        (tmp_path / str(number)).write_bytes(data)
        assert read(tmp_path / str(number)).rows == 70


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_read_or_refused(originals: list[bytes], tmp_path: Path) -> None:
    answers = {"read": 0, "refused": 0}
    for data in damaged(originals, seed=1, count=300):
        (tmp_path / "x").write_bytes(data)
        try:
            picture = read(tmp_path / "x")
        except Refused:
            answers["refused"] += 1
        else:
            answers["read"] += 1
            assert picture.display.shape == (picture.rows, picture.columns)
            assert picture.working.dtype == np.uint16
            assert np.isfinite([picture.slope, picture.intercept]).all()
            assert np.isfinite([picture.window_center, picture.window_width]).all()
    assert min(answers.values()) > 50


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thousands_of_damaged_files_neither_crash_nor_surprise_the_helper(
    originals: list[bytes], tmp_path: Path
) -> None:
    details: dict[str, int] = {}
    with ParsingHelper() as helper:
        for data in damaged(originals, seed=2, count=6000):
            (tmp_path / "x").write_bytes(data)
            try:
                helper.parse(tmp_path / "x", tmp_path)
            except Refused as refused:
                details[refused.detail] = details.get(refused.detail, 0) + 1
    surprises = {d: n for d, n in details.items() if d.startswith("unexpected") or "too long" in d}
    assert not surprises
    print(f"{details.get('the decoder crashed', 0)} crashes, contained", file=sys.stderr)
