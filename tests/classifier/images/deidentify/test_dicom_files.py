"""De-identified DICOM files: character sets, pixels, repeated runs and other readers."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from classifier.errors import Refused
from classifier.images.deidentify.dicom import deidentify, to_bytes
from classifier.images.deidentify.pseudonyms import Pseudonyms, derive_key
from classifier.images.dicom.header import read_dataset
from classifier.images.dicom.pixel_data import stored_values
from classifier.images.dicom.reader import read_dicom
from classifier.reasons import RefusalReason
from tests.classifier.images.deidentify.test_dicom import KEY, as_bytes, cleaned, full
from tests.classifier.images.samples import CT, LOSSLESS, LOSSY, RAW, chest, ct_slice, dataset


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", "ISO_IR 13", "GB18030", "nonsense"])
def test_a_text_in_any_character_set_gives_the_same_pseudonym(charset: str) -> None:
    made = dataset(chest(), PatientID="7", PatientName="Name")
    made.SpecificCharacterSet = charset if charset != "nonsense" else "ISO_IR 100"
    made.Manufacturer = maker = "Gerät" if charset in {"ISO_IR 100", "ISO_IR 192"} else "Maker"
    data = as_bytes(made)
    if charset == "nonsense":
        data = data.replace(b"ISO_IR 100", b"ISO_IR ???")
    out, _ = deidentify(read_dataset(data), Pseudonyms(KEY))
    after = pydicom.dcmread(io.BytesIO(to_bytes(out)))
    assert after.Manufacturer == Pseudonyms(KEY).short("device", maker)
    assert after.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize("syntax", [*RAW, *LOSSLESS, *LOSSY], ids=lambda syntax: syntax.name)
def test_the_samples_stay_the_same_in_every_transfer_syntax(syntax) -> None:
    pixels = chest() >> 4 if "8 Bit" in syntax.name or syntax.name.startswith("JPEG Baseline") else chest()
    bits = 8 if pixels.max() < 256 else 12
    made = dataset(
        pixels.astype(np.uint8 if bits == 8 else np.uint16), bits=bits, syntax=syntax, PatientID="7"
    )
    data = as_bytes(made)
    out, after = cleaned(made)
    expected = JPEGLSLossless if syntax.is_encapsulated else ExplicitVRLittleEndian
    assert after.file_meta.TransferSyntaxUID == expected
    assert read_dicom(out).pixel_sha256 == read_dicom(data).pixel_sha256
    np.testing.assert_array_equal(after.pixel_array, stored_values(read_dataset(data)))
    assert after.get("LossyImageCompression") == ("01" if syntax in LOSSY else None)


def test_a_ct_slice_keeps_its_hounsfield_units() -> None:
    made = dataset(ct_slice(), PatientID="7", **CT)
    out, _ = cleaned(made)
    before, after = read_dicom(as_bytes(made)), read_dicom(out)
    assert (after.slope, after.intercept, after.slot) == (before.slope, before.intercept, before.slot)


def test_a_key_that_could_be_guessed_is_not_taken() -> None:
    with pytest.raises(ValueError, match="bytes"):
        Pseudonyms(b"secret")


def test_what_was_deidentified_under_the_same_key_stays_as_it_is() -> None:
    first = cleaned(full(), keep_characteristics=True)[1]
    again = cleaned(first, keep_characteristics=True)[1]
    keywords = (
        "PatientID",
        "StudyInstanceUID",
        "SOPInstanceUID",
        "AccessionNumber",
        "StudyDate",
        "PatientAge",
    )
    assert [again[keyword].value for keyword in keywords] == [first[keyword].value for keyword in keywords]
    assert cleaned(first, b"another key, as long as that one")[1].PatientID != first.PatientID


def test_dates_are_moved_where_only_the_pseudonym_was_put_in_by_hand() -> None:
    pseudonym = Pseudonyms(KEY).patient("7")
    out = cleaned(dataset(chest(), PatientID=pseudonym, StudyDate="20260101"))[1]
    assert out.PatientID == pseudonym
    assert out.StudyDate != "20260101"


@pytest.mark.parametrize(
    "value", ["anon-abcdefghijklmnop", "abcdefghijklmnop", "2.25.12345", "2.25." + "9" * 39]
)
def test_what_only_looks_like_a_pseudonym_is_replaced(value: str) -> None:
    pseudonyms = Pseudonyms(KEY)
    assert value not in {
        pseudonyms.patient(value),
        pseudonyms.short("accession", value),
        pseudonyms.uid(value),
    }


def test_namespaces_have_names_of_their_own() -> None:
    one, two = (Pseudonyms(derive_key(KEY, site)) for site in ("st-anna", "harbour"))
    assert one.patient("7") != two.patient("7")
    assert one.uid("1.2") != two.uid("1.2")


@pytest.mark.skipif(not shutil.which("dcmdump"), reason="dcmtk is not installed")
def test_dcmtk_reads_the_result(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(cleaned(full())[0])
    done = subprocess.run(["dcmdump", "-q", tmp_path / "x.dcm"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert "SECRET" not in done.stdout


@pytest.mark.shared_data
def test_real_files_keep_their_samples(shared_data: Path) -> None:
    files = [path for path in (shared_data / "dicom").iterdir() if path.suffix == ".dcm"]
    refused = []
    for path in files:
        data = path.read_bytes()
        try:
            out, _ = deidentify(read_dataset(data), Pseudonyms(KEY))
        except Refused as error:
            refused.append(error.reason)
            continue
        clean = to_bytes(out)
        assert read_dicom(clean).pixel_sha256 == read_dicom(data).pixel_sha256, path.name
        np.testing.assert_array_equal(read_dicom(clean).levels, read_dicom(data).levels)
    assert len(files) - len(refused) >= 10
    assert set(refused) == {RefusalReason.UNSUPPORTED_MODALITY}
