"""Files that dcmtk wrote, beside what dcmtk makes of them: an encoder and a decoder that are not ours."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from classifier.images.decode import stored_values
from classifier.images.dicom import dataset_of
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
    ours = stored_values(dataset_of(encoded.read_bytes()))
    if not name.endswith(LOSSY):
        np.testing.assert_array_equal(ours, pixels)
        return
    theirs = pydicom.dcmread(run([decoder], encoded, "theirs.dcm")).pixel_array
    assert np.abs(ours.astype(int) - theirs).max() <= 1
