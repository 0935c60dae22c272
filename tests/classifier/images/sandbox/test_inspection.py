"""Parts of a DICOM file through the helper, and what a child may not return for them."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest

from classifier.errors import Refused
from classifier.images.sandbox.client import ParsingHelper
from classifier.images.sandbox.response import Want, inspection
from classifier.reasons import RefusalReason
from tests.classifier.images.samples import chest, dataset, write


@pytest.fixture(scope="module")
def helper():
    with ParsingHelper() as started:
        yield started


@pytest.fixture
def file(tmp_path: Path) -> Path:
    image = dataset(chest(), bits=12, PatientID="4711", StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4")
    return write(tmp_path / "x.dcm", image)


def test_identity_and_reason_of_a_refusal(helper, file, tmp_path):
    facts = helper.inspect(file, tmp_path, Want.IDENTITY).facts
    assert (facts["study"], facts["series"], facts["sop_instance"]) == ("1.2.3", "1.2.4", "1.2.3.4")
    assert facts["refusal"] == ""
    write(file, dataset(chest(), bits=12, Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4"))
    refusal = helper.inspect(file, tmp_path, Want.IDENTITY).facts["refusal"]
    assert refusal == RefusalReason.UNSUPPORTED_MODALITY


def test_metadata_are_the_dicom_json_of_the_reference_implementation(helper, file, tmp_path):
    found = json.loads(helper.inspect(file, tmp_path, Want.METADATA).content)
    expected = pydicom.dcmread(file, stop_before_pixels=True).to_json_dict()
    assert {tag: found[tag] for tag in expected} == expected
    assert found["7FE00010"] == {"vr": "OW", "BulkDataURI": ""}


def test_a_file_that_is_not_dicom_is_refused(helper, tmp_path):
    (tmp_path / "x.dcm").write_bytes(b"no DICOM" * 100)
    with pytest.raises(Refused):
        helper.inspect(tmp_path / "x.dcm", tmp_path, Want.METADATA)


@pytest.mark.parametrize(
    "raw", [None, [], {"study": 1}, {"study": {}}, {str(n): "" for n in range(99)}, {1: ""}]
)
def test_facts_of_another_shape_are_refused(raw, tmp_path):
    with pytest.raises(Refused):
        inspection(raw, tmp_path, 1000)


def test_content_that_is_a_link_or_too_large_is_refused(tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "content").symlink_to(tmp_path / "secret")
    with pytest.raises(Refused):
        inspection({}, tmp_path, 1000)
    (tmp_path / "content").unlink()
    (tmp_path / "content").write_bytes(bytes(1001))
    with pytest.raises(Refused):
        inspection({}, tmp_path, 1000)
