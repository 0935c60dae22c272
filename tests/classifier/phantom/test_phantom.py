"""Phantoms are repeatable, carry their opacities where they state, and arrive marked as synthetic."""

from __future__ import annotations

import csv
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from classifier.contract import Slot
from classifier.data.manifest import read_manifest
from classifier.images.read import read_image
from classifier.phantom.collection import COURSES, plan, write_collection, write_training_set
from classifier.phantom.files import write_dicom, write_png
from classifier.phantom.opacities import OpacitySpec
from classifier.phantom.render import Phantom, Subject, acquire, prepare, render

SIZE = 160
WHEN = datetime(2026, 3, 1, 9, 30)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return prepare(11, size=SIZE)


@pytest.fixture(scope="module")
def phantom(subject: Subject) -> Phantom:
    return acquire(subject, opacities=[OpacitySpec("right", 0.5, 0.5, 2.5, 0.9, seed=3)])


def save_dicom(path: Path, phantom: Phantom) -> Path:
    write_dicom(path, phantom, patient_id="PHANTOM-001", patient_name="PHANTOM^ALPHA", taken=WHEN)
    return path


def test_the_same_seed_gives_the_same_image_and_another_seed_another_person(subject: Subject) -> None:
    again = render(11, size=SIZE)
    assert np.array_equal(again.pixels, acquire(subject).pixels)
    other = render(12, size=SIZE).pixels
    rows, columns = min(other.shape[0], SIZE), min(other.shape[1], again.pixels.shape[1])
    assert np.abs(other[:rows, :columns].astype(int) - again.pixels[:rows, :columns]).mean() > 100


def test_air_is_black_lungs_are_dark_and_the_spine_is_bright(subject: Subject) -> None:
    pixels = acquire(subject).pixels
    lungs = pixels[subject.chest.lung > 12]
    middle = pixels.shape[1] // 2
    spine = pixels[int(0.6 * SIZE) : int(0.7 * SIZE), middle - 4 : middle + 4]
    outside = pixels[(subject.chest.body == 0) & (pixels < 2000)]  # without the lead letters
    assert outside.mean() < 0.5 * lungs.mean()
    assert spine.mean() > 2 * lungs.mean()
    assert pixels.max() < 4096


def test_an_opacity_brightens_its_own_place_and_nothing_far_from_it(
    subject: Subject, phantom: Phantom
) -> None:
    (opacity,) = phantom.opacities
    change = phantom.pixels.astype(float) - acquire(subject).pixels
    y, x = np.indices(change.shape)
    distance = np.hypot(x - opacity.x, y - opacity.y) / opacity.radius
    assert phantom.finding == "opacity"
    assert opacity.side == "right"
    assert opacity.x < change.shape[1] / 2, "the patient's right is at the image's left"
    assert change[distance < 0.6].mean() > 150
    assert change[distance < 0.6].mean() > 10 * abs(change[distance > 2.5].mean())
    gain = np.clip(change, 0, None) * (change > 100)
    assert np.hypot((gain * x).sum() / gain.sum() - opacity.x, (gain * y).sum() / gain.sum() - opacity.y) < (
        0.5 * opacity.radius
    )


def test_png_and_dicom_come_in_as_phantoms_with_the_same_image(phantom: Phantom, tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", phantom)
    from_png = read_image(tmp_path / "a.png")
    from_dicom = read_image(save_dicom(tmp_path / "a.dcm", phantom))
    for image in (from_png, from_dicom):
        assert image.slot is Slot.PHANTOM
        assert image.synthetic
        assert not image.polarity_turned
        assert image.working.shape == phantom.pixels.shape
    assert np.corrcoef(from_png.working.ravel(), from_dicom.working.ravel())[0, 1] > 0.9999


def test_a_dicom_phantom_is_a_chest_radiograph_marked_as_synthetic(phantom: Phantom, tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "a.dcm", phantom)
    header = pydicom.dcmread(path)
    assert header.SOPClassUID.name == "Digital X-Ray Image Storage - For Presentation"
    assert header[0x0008, 0x001C].value == "YES"
    assert (header.PatientID, str(header.PatientName)) == ("PHANTOM-001", "PHANTOM^ALPHA")
    assert (header.StudyDate, header.ViewPosition) == ("20260301", "PA")
    assert header.PixelSpacing[0] == pytest.approx(phantom.spacing, abs=1e-4)
    assert all(uid.is_valid for uid in (header.StudyInstanceUID, header.SOPInstanceUID))
    assert save_dicom(tmp_path / "b.dcm", phantom).read_bytes() == path.read_bytes()


def test_a_collection_follows_its_patients_through_their_courses(tmp_path: Path) -> None:
    manifest = write_collection(tmp_path, patients=1, seed=4, size=96)
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    course = COURSES["comes and goes"]
    assert [row["finding"] for row in rows] == ["opacity" if share else "normal" for share in course]
    assert [int(row["opacities"]) > 0 for row in rows] == [bool(row["centres"]) for row in rows]
    assert {Path(row["image"]).suffix for row in rows} == {".dcm", ".png"}
    dates = [date.fromisoformat(row["study_date"]) for row in rows]
    assert sorted(set(dates)) == dates
    assert [int(row["offset_days"]) for row in rows] == [(day - dates[0]).days for day in dates]
    assert [row.patient for row in read_manifest(manifest)] == ["PHANTOM-001"] * len(course)
    assert {read_image(tmp_path / row["image"]).slot for row in rows} == {Slot.PHANTOM}


def test_an_opacity_keeps_its_place_while_it_grows() -> None:
    first, *_, last = [study.specs[0] for study in plan(4, seed=0) if study.patient == 3 and study.specs]
    assert (first.side, first.height, first.across) == (last.side, last.height, last.across)
    assert first.radius < last.radius


def test_patients_beyond_the_alphabet_still_have_names_of_their_own() -> None:
    names = {study.patient_id: study.patient_name for study in plan(60, seed=0)}
    assert len(set(names.values())) == 60
    assert names["PHANTOM-027"] == "PHANTOM^ALPHA-2"


def test_a_training_set_shows_each_patient_clear_and_with_opacities(tmp_path: Path) -> None:
    rows = read_manifest(write_training_set(tmp_path, patients=4, seed=2, size=64))
    assert [row.findings for row in rows[:4]] == [("normal",), *[("opacity",)] * 3]
    assert {row.patient: row.split for row in rows} == {
        "PHANTOM-001": "train", "PHANTOM-002": "train", "PHANTOM-003": "train", "PHANTOM-004": "val"
    }  # fmt: skip


def test_a_collection_without_patients_or_in_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format"):
        write_collection(tmp_path, format="tiff")
    with pytest.raises(ValueError, match="patients"):
        write_collection(tmp_path, patients=0)
