"""Files that others made: pydicom's own, and the collection of real images next to dcmtk's decoders."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_files
from pydicom.pixels import pixel_array

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.dicom.pixel_data import stored_values
from classifier.images.read import read_image
from classifier.reasons import RefusalReason

LOSSLESS_CT = ("CT1_UNC", "CT1_RLE", "CT1_JPLL", "CT1_JLSL", "CT1_J2KR")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_test_file_of_pydicom_gets_a_sensible_result() -> None:
    results: dict[str, str] = {}
    for path in filter(Path.is_file, map(Path, get_testdata_files())):
        try:
            results[path.name] = read_image(path).slot
        except Refused as refused:
            results[path.name] = refused.reason
    assert results["CT_small.dcm"] is Slot.CT
    assert results["MR_small.dcm"] is RefusalReason.UNSUPPORTED_MODALITY
    assert results["DICOMDIR"] is RefusalReason.NOT_AN_IMAGE
    assert results["image_dfl.dcm"] is Slot.CXR
    assert results["MR_truncated.dcm"] is RefusalReason.UNSUPPORTED_MODALITY
    assert results["SC_rgb_rle_32bit.dcm"] is Slot.CXR
    assert sum(isinstance(result, Slot) for result in results.values()) >= 20


@pytest.mark.shared_data
@pytest.mark.parametrize("name", LOSSLESS_CT)
def test_a_lossless_ct_slice_has_the_pixels_of_the_raw_one(shared_data: Path, name: str) -> None:
    raw, other = (read_image(shared_data / "dicom" / f"{n}.dcm") for n in ("CT1_UNC", name))
    assert other.pixel_sha256 == raw.pixel_sha256
    np.testing.assert_array_equal(other.working, raw.working)


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "mean", "most"), [("CT1_J2KI", 30, 360), ("CT1_JLSN", 4, 5)])
def test_a_lossy_ct_slice_is_off_by_what_its_codec_lost(
    shared_data: Path, name: str, mean: float, most: float
) -> None:
    raw, other = (read_image(shared_data / "dicom" / f"{n}.dcm") for n in ("CT1_UNC", name))
    hounsfield = np.abs(other.working.astype(int) - raw.working) / 16
    assert hounsfield.mean() <= mean
    assert hounsfield.max() <= most


@pytest.mark.shared_data
def test_every_decoder_of_jpeg_2000_loses_the_same(shared_data: Path) -> None:
    path = shared_data / "dicom" / "CT1_J2KI.dcm"
    ours = stored_values(pydicom.dcmread(path))
    for plugin in ("pylibjpeg", "gdcm", "pillow"):
        np.testing.assert_array_equal(ours, pixel_array(path, decoding_plugin=plugin))


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.parametrize(
    "names", [("RG1_J2KI", "RG1_JLSN"), ("rsna_pneumonia", "rsna_monochrome1")], ids=lambda names: names[1]
)
def test_one_radiograph_in_two_wrappings_gets_one_result(shared_data: Path, names: tuple[str, str]) -> None:
    files = [str(shared_data / "dicom" / f"{name}.dcm") for name in names]
    command = [sys.executable, "-m", "classifier", "predict", *files, "--json", "--no-cam"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    one, other = map(json.loads, done.stdout.splitlines())
    assert one["probabilities"]
    assert (other["status"], other["finding"]) == (one["status"], one["finding"])
    assert other["probabilities"] == pytest.approx(one["probabilities"], abs=0.02)


@pytest.mark.shared_data
def test_the_two_encodings_of_one_radiograph_agree(shared_data: Path) -> None:
    a, b = (read_image(shared_data / "dicom" / f"RG1_{n}.dcm") for n in ("J2KI", "JLSN"))
    assert (a.slot, a.display.shape, a.polarity_turned) == (Slot.CXR, (1955, 1841), False)
    assert np.corrcoef(a.working.ravel(), b.working.ravel())[0, 1] > 0.999


@pytest.mark.shared_data
def test_a_radiograph_wrongly_tagged_monochrome1_is_turned_back(shared_data: Path) -> None:
    right, wrong = (read_image(shared_data / "dicom" / f"rsna_{n}.dcm") for n in ("pneumonia", "monochrome1"))
    assert (right.polarity_turned, wrong.polarity_turned) == (False, True)
    np.testing.assert_array_equal(wrong.working, right.working)
    np.testing.assert_array_equal(wrong.display, right.display)


@pytest.mark.shared_data
def test_a_ct_slice_that_its_header_calls_nuclear_medicine_is_refused(shared_data: Path) -> None:
    with pytest.raises(Refused) as caught:
        read_image(shared_data / "dicom" / "ct_labelled_nm.dcm")
    assert caught.value.reason is RefusalReason.UNSUPPORTED_MODALITY


@pytest.mark.shared_data
def test_every_original_as_it_came_is_read(shared_data: Path) -> None:
    for path in sorted((shared_data / "originals").glob("*.[pj]*")):
        with Image.open(path) as image:
            columns, rows = image.size
        decoded = read_image(path)
        assert {decoded.rows, decoded.columns} == {rows, columns}
        assert not decoded.polarity_turned
        assert decoded.preview.std() > 10


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "tool", "tolerance"),
    [
        ("CT1_JPLL", "dcmdjpeg", 0),
        ("CT1_JLSL", "dcmdjpls", 0),
        ("CT1_JLSN", "dcmdjpls", 0),
        ("RG1_JLSN", "dcmdjpls", 0),
        ("CT1_RLE", "dcmdrle", 0),
        ("rsna_pneumonia", "dcmdjpeg", 4),
    ],
)
def test_our_decoders_agree_with_those_of_dcmtk(
    shared_data: Path, tmp_path: Path, name: str, tool: str, tolerance: int
) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} of dcmtk is not installed")
    source, target = shared_data / "dicom" / f"{name}.dcm", tmp_path / "theirs.dcm"
    subprocess.run([tool, str(source), str(target)], check=True, capture_output=True)
    theirs, ours = pydicom.dcmread(target), read_image(source)
    stored = ours.display.astype(int)
    if ours.slope < 0:
        stored = (1 << theirs.BitsStored) - 1 - stored
    stored -= (1 << theirs.BitsStored - 1) * theirs.PixelRepresentation
    expected = theirs.pixel_array.astype(int)
    shown = expected != theirs.get("PixelPaddingValue", None)
    assert np.abs(stored - expected)[shown].max() <= tolerance
