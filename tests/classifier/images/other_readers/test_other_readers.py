"""Test images of others look alike in Hilum, dcmtk and gdcm, or docs/other-readers.md states why not.

HILUM_DICOM_SETS names a folder with further sets of files, each a folder by its name in the table.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pydicom
import pytest

from tests.architecture.source import ROOT
from tests.classifier.images.other_readers.comparison import Disagreement, How, compared

TABLE = ROOT / "docs" / "other-readers.md"
ROW = re.compile(r"^\| (\S+) \| `([^`]+)` \| (\w+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
FURTHER = sorted(Path(os.environ["HILUM_DICOM_SETS"]).iterdir()) if "HILUM_DICOM_SETS" in os.environ else []
needs_dcmtk = pytest.mark.skipif(shutil.which("dcmj2pnm") is None, reason="dcmtk is not installed")


def rows() -> list[tuple[str, ...]]:
    return ROW.findall(TABLE.read_text(encoding="utf-8"))


def stated(name: str) -> set[Disagreement]:
    return {Disagreement(file, reader, How(how)) for at, file, reader, how, *_ in rows() if at == name}


def test_every_row_states_who_is_right_and_why() -> None:
    assert len(rows()) > 20
    for _, file, reader, how, right, why in rows():
        assert how in set(How), file
        assert right in {"Hilum", reader, "both"}, file
        assert len(why.split()) > 3, file


@needs_dcmtk
@pytest.mark.slow
@pytest.mark.parametrize("folder", [PYDICOM, *FURTHER], ids=lambda folder: folder.name)
def test_an_image_of_others_looks_as_in_dcmtk_and_gdcm(folder: Path) -> None:
    found = compared(folder)
    assert found.images >= 35
    assert set(found.disagreements) == stated("pydicom" if folder == PYDICOM else folder.name)


@needs_dcmtk
@pytest.mark.slow
@pytest.mark.shared_data
def test_an_image_of_the_collection_looks_as_in_dcmtk_and_gdcm(shared_data: Path) -> None:
    found = compared(shared_data / "dicom")
    assert found.images >= 16
    assert set(found.disagreements) == stated("collection")


@needs_dcmtk
def test_a_wrong_image_is_a_disagreement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(PYDICOM / "CT_small.dcm", tmp_path)
    shutil.copy(PYDICOM / "MR_small_RLE.dcm", tmp_path)
    assert compared(tmp_path) == (2, [])
    monkeypatch.setattr("classifier.images.grayscale.HU_LOW", -1000)
    assert set(compared(tmp_path).disagreements) == {
        Disagreement("CT_small.dcm", reader, How.VALUES) for reader in ("dcmtk", "gdcm")
    }
