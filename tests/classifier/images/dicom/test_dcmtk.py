"""Files that dcmtk wrote, next to what dcmtk makes of them: an encoder and a decoder that are not ours."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from classifier.images.dicom.header import read_dataset
from classifier.images.dicom.pixel_data import stored_values
from classifier.images.read import read_image
from tests.classifier.images.samples import chest, dataset, write

pytestmark = pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="dcmtk is not installed")

DEPTHS = [(8, 8), (10, 16), (12, 16), (15, 16), (16, 16)]
ENCODERS = {
    "big-endian": (["dcmconv", "+tb"], "dcmconv"),
    "implicit": (["dcmconv", "+ti"], "dcmconv"),
    "deflated": (["dcmconv", "+td"], "dcmconv"),
    "undefined-lengths": (["dcmconv", "-e", "+g"], "dcmconv"),
    "without-meta": (["dcmconv", "-F"], "dcmconv"),
    "rle": (["dcmcrle"], "dcmdrle"),
    "jpeg-lossless-sv1": (["dcmcjpeg", "+e1"], "dcmdjpeg"),
    "jpeg-lossless-sv4": (["dcmcjpeg", "+el", "+sv", "4"], "dcmdjpeg"),
    "jpeg-lossless-sv6": (["dcmcjpeg", "+el", "+sv", "6"], "dcmdjpeg"),
    "jpeg-lossless-fragments": (["dcmcjpeg", "+e1", "+fs", "1"], "dcmdjpeg"),
    "jpeg-lossless-no-offsets": (["dcmcjpeg", "+e1", "+fs", "1", "-ot"], "dcmdjpeg"),
    "jpeg-ls": (["dcmcjpls"], "dcmdjpls"),
    "jpeg-ls-fragments": (["dcmcjpls", "+fs", "1"], "dcmdjpls"),
    "jpeg-ls-near": (["dcmcjpls", "+en"], "dcmdjpls"),
    "jpeg-baseline": (["dcmcjpeg", "+eb"], "dcmdjpeg"),
    "jpeg-extended": (["dcmcjpeg", "+ee"], "dcmdjpeg"),
    "jpeg-progressive": (["dcmcjpeg", "+ep"], "dcmdjpeg"),
    "jpeg-spectral": (["dcmcjpeg", "+es"], "dcmdjpeg"),
}
LOSSY = ("near", "baseline", "extended", "progressive", "spectral")
Run = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def work(command: list[str], source: Path, name: str, *, skip: bool = False) -> Path:
        done = subprocess.run([*command, str(source), str(tmp_path / name)], capture_output=True, text=True)
        if done.returncode and skip:
            pytest.skip(f"dcmtk does not write this: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
        return tmp_path / name

    return work


def plain(tmp_path: Path, bits: int, allocated: int, signed: bool) -> tuple[Path, np.ndarray]:
    pixels = chest(97, 81, top=(1 << bits) - 1).astype(np.int32) - (1 << bits - 1 if signed else 0)
    pixels = pixels.astype(f"{'i' if signed else 'u'}{allocated // 8}")
    return write(tmp_path / "plain.dcm", dataset(pixels, bits=bits)), pixels


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize(("bits", "allocated"), DEPTHS)
@pytest.mark.parametrize("name", ENCODERS)
def test_what_dcmtk_wrote_has_the_stored_values_that_dcmtk_reads(
    tmp_path: Path, run: Run, name: str, bits: int, allocated: int, signed: bool
) -> None:
    path, pixels = plain(tmp_path, bits, allocated, signed)
    encoder, decoder = ENCODERS[name]
    encoded = run(encoder, path, "encoded.dcm", skip=True)
    ours = stored_values(read_dataset(encoded.read_bytes()))
    if not name.endswith(LOSSY):
        np.testing.assert_array_equal(ours, pixels)
        return
    theirs = pydicom.dcmread(run([decoder], encoded, "theirs.dcm")).pixel_array
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def lut(first: int, entries: np.ndarray, depth: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, depth])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return item


CURVE = (np.linspace(0, 1, 3000) ** 2 * 4095).astype(int)
SHOWN = {
    "window": ({"WindowCenter": "1800", "WindowWidth": "2000"}, ["+Wi", "1"]),
    "narrow": ({"WindowCenter": "1800.5", "WindowWidth": "1"}, ["+Wi", "1"]),
    "first-of-several": ({"WindowCenter": [1500, 40], "WindowWidth": [3000, 400]}, ["+Wi", "1"]),
    "sigmoid": (
        {"WindowCenter": "1800", "WindowWidth": "2000", "VOILUTFunction": "SIGMOID"},
        ["+Wi", "1"],
    ),
    "rescaled": (
        {
            "WindowCenter": "4000",
            "WindowWidth": "6000",
            "RescaleSlope": " 2.5e0",
            "RescaleIntercept": "-300.0 ",
        },
        ["+Wi", "1"],
    ),
    "falling": (
        {"WindowCenter": "-4000", "WindowWidth": "6000", "RescaleSlope": "-2", "RescaleIntercept": "0"},
        ["+Wi", "1"],
    ),
    "voi-lut": ({"VOILUTSequence": [lut(500, CURVE, 12)]}, ["+Wl", "1"]),
    "voi-lut-of-signed": (
        {"VOILUTSequence": [lut(-1500, CURVE, 12)], "RescaleSlope": "1", "RescaleIntercept": "-2048"},
        ["+Wl", "1"],
    ),
    "modality-lut": (
        {"ModalityLUTSequence": [lut(500, CURVE, 12)], "WindowCenter": "1500", "WindowWidth": "2500"},
        ["+Wi", "1"],
    ),
}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("name", SHOWN)
def test_an_image_is_as_bright_as_dcmtk_shows_it(
    tmp_path: Path, run: Run, name: str, signed: bool, photometric: str
) -> None:
    attributes, options = SHOWN[name]
    pixels = chest(97, 81)
    if photometric == "MONOCHROME1":
        pixels = 4095 - pixels
    if signed:
        pixels = pixels.astype(np.int16) - 100
    made = dataset(pixels, bits=13 if signed else 12, PhotometricInterpretation=photometric, **attributes)
    source = write(tmp_path / "x.dcm", made)
    with Image.open(run(["dcmj2pnm", *options, "+ob"], source, "theirs.pgm")) as image:
        theirs = np.asarray(image).astype(int)
    ours = read_image(source)
    preview = 255 - ours.preview if ours.polarity_turned else ours.preview
    assert np.abs(preview - theirs).max() <= 2


COLOUR_ENCODERS = {
    "raw": ["dcmconv"],
    "big-endian": ["dcmconv", "+tb"],
    "rle": ["dcmcrle"],
    "jpeg-lossless": ["dcmcjpeg", "+e1"],
    "jpeg-rgb": ["dcmcjpeg", "+eb", "+cr"],
    "jpeg-422": ["dcmcjpeg", "+eb", "+cy", "+s2"],
    "jpeg-444": ["dcmcjpeg", "+eb", "+cy", "+s4"],
    "jpeg-411": ["dcmcjpeg", "+eb", "+cy", "+n1"],
    "jpeg-411-said-to-be-422": ["dcmcjpeg", "+eb", "+cy", "+np"],
    "jpeg-ls-line": ["dcmcjpls", "+il"],
    "jpeg-ls-sample": ["dcmcjpls", "+is"],
    "jpeg-ls-plane": ["dcmcjpls", "+in"],
}


@pytest.mark.parametrize("planar", [0, 1], ids=["by-pixel", "by-plane"])
@pytest.mark.parametrize("name", COLOUR_ENCODERS)
def test_a_colour_capture_has_the_colours_that_dcmtk_reads(
    tmp_path: Path, run: Run, name: str, planar: int
) -> None:
    grey = (chest(96, 80) >> 4).astype(np.uint8)
    rgb = np.dstack([grey, 255 - grey, grey // 2])
    made = dataset(rgb, Modality="OT", SOPClassUID=SecondaryCaptureImageStorage)
    if planar:
        made.PlanarConfiguration, made.PixelData = 1, np.moveaxis(rgb, 2, 0).tobytes()
    encoded = run(COLOUR_ENCODERS[name], write(tmp_path / "x.dcm", made), "encoded.dcm")
    decoded = run(["dcmdjpls"], encoded, "decoded.dcm") if name.startswith("jpeg-ls") else encoded
    with Image.open(run(["dcmj2pnm", "+op"], decoded, "theirs.ppm")) as image:
        theirs = np.asarray(image).astype(int)
    ours = stored_values(read_dataset(encoded.read_bytes())).astype(int)
    assert np.abs(ours - theirs).max() <= 2
