"""`python -m classifier manifest`: from a folder of a hospital's own images to a manifest that trains."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.__main__ import main
from classifier.data.manifest import read_manifest
from tests.classifier.images.samples import chest, dataset, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two DICOM files of one patient, three JPEG files that name patients in their names, and a text."""
    for name in ("normal", "pneumonia/ward 3", "unlabelled"):
        (tmp_path / "images" / name).mkdir(parents=True)
    folder = tmp_path / "images"
    header = {"PatientID": "P-1", "PatientAge": "063Y", "PatientSex": "F", "ViewPosition": "PA"}
    for number, place in enumerate(("normal/a.dcm", "pneumonia/ward 3/b.dcm")):
        write(folder / place, dataset(chest(), bits=12, InstanceNumber=str(number), **header))
    for place in ("normal/17_1.jpg", "unlabelled/17_2.jpg", "18_1.jpg"):
        Image.fromarray((chest() >> 4).astype(np.uint8)).save(folder / place)
    (folder / "normal" / "letter.txt").write_text("Dear colleague")
    return folder


def lines(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return {line["image"]: line for line in csv.DictReader(file)}


def test_folders_are_findings_and_headers_report_the_patient(folder: Path, capsys) -> None:
    assert main(["manifest", str(folder), "--source", "here"]) == 0
    found = lines(folder)
    assert {image: line["finding"] for image, line in found.items()} == {
        "18_1.jpg": "",
        "normal/17_1.jpg": "normal",
        "normal/a.dcm": "normal",
        "pneumonia/ward 3/b.dcm": "pneumonia",
        "unlabelled/17_2.jpg": "",
    }
    of_header = found["pneumonia/ward 3/b.dcm"]
    assert {key: of_header[key] for key in ("patient", "age", "sex", "view", "source")} == {
        "patient": "P-1", "age": "63", "sex": "F", "view": "PA", "source": "here",
    }  # fmt: skip
    assert "letter.txt: left out:" in capsys.readouterr().err


def test_it_is_a_manifest_that_training_reads(folder: Path) -> None:
    main(["manifest", str(folder)])
    rows = read_manifest(folder / "manifest.csv")
    assert {row.findings for row in rows} == {("normal",), ("pneumonia",), None}


def test_a_pattern_finds_the_patient_in_a_name(folder: Path) -> None:
    assert main(["manifest", str(folder), "--patient", r"/(\d+)_[^/]*$"]) == 0
    found = lines(folder)
    assert found["normal/17_1.jpg"]["patient"] == found["unlabelled/17_2.jpg"]["patient"] == "17"
    assert found["normal/a.dcm"]["patient"] == "P-1"


def test_a_file_whose_name_is_not_text_is_reported_and_the_rest_is_listed(folder: Path, capsys) -> None:
    named = os.path.join(os.fsencode(folder), b"normal", b"M\xf6we.jpg")
    (folder / "normal" / "17_1.jpg").rename(Path(os.fsdecode(named)))
    assert main(["manifest", str(folder)]) == 0
    assert "M%F6we.jpg: left out: the name is not UTF-8 text" in capsys.readouterr().err
    assert len(lines(folder)) == 4


def test_a_manifest_that_cannot_be_completed_leaves_nothing_behind(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("classifier.cli.data.manifest.COLUMNS", ("image",))
    with pytest.raises(ValueError, match="finding"):
        main(["manifest", str(folder)])
    assert not [path for path in folder.iterdir() if "manifest" in path.name]


def test_images_of_nobody_are_reported_of(folder: Path, capsys) -> None:
    main(["manifest", str(folder)])
    assert "5 images of 4 patients" in (text := capsys.readouterr().out)
    assert "3 images have no patient ID" in text


def test_a_manifest_elsewhere_points_to_the_images(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    assert main(["manifest", str(folder), "--out", str(tmp_path / "work" / "m.csv")]) == 0
    assert len(read_manifest(tmp_path / "work" / "m.csv")) == 5


def test_a_manifest_that_is_there_is_never_written_over(folder: Path, capsys) -> None:
    (folder / "manifest.csv").write_text("kept")
    assert main(["manifest", str(folder)]) == 1
    assert (folder / "manifest.csv").read_text() == "kept"
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize("pattern", ["[0-9]+", "/nothing"])
def test_a_pattern_without_a_group_is_refused(folder: Path, pattern: str) -> None:
    assert main(["manifest", str(folder), "--patient", pattern]) == 1
    assert not (folder / "manifest.csv").exists()


def test_a_folder_without_images_makes_no_manifest(tmp_path: Path, capsys) -> None:
    assert main(["manifest", str(tmp_path)]) == 1
    assert list(tmp_path.iterdir()) == []
    assert "contains no readable image" in capsys.readouterr().err
