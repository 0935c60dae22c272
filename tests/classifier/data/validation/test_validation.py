"""What would mislead a model is reported, in words and numbers; what would not is passed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.__main__ import main
from classifier.data.image_cache import statistics_of
from classifier.data.manifest import read_manifest
from classifier.data.validation import duplicates
from classifier.data.validation.checks import as_text, validate
from classifier.data.validation.image_statistics import perceptual_hash
from classifier.data.validation.warning import Severity, Warning_
from classifier.images.read import read_image
from tests.classifier.collection import write_manifest

Edit = Callable[[int, dict, np.ndarray], np.ndarray]


def film(seed: int, side: int = 80) -> np.ndarray:
    """Smooth grey noise, unlike that of any other seed."""
    rough = np.random.default_rng(seed).integers(30, 220, (10, 10)).astype(np.uint8)
    return np.asarray(Image.fromarray(rough).resize((side, side), Image.Resampling.BICUBIC))


def collection(folder: Path, edit: Edit | None = None, count: int = 160) -> Path:
    """Two findings from two sources in equal parts; `edit` changes a line and its image."""
    folder.mkdir(exist_ok=True)
    lines = []
    for n in range(count):
        finding, source = ("normal", "pneumonia")[n % 2], ("north", "south")[n // 2 % 2]
        line = {"image": f"{n:03}.png", "finding": finding, "patient": f"p{n // 4 * 4 + n % 4 // 2 * 2}"}
        line |= {
            "source": source,
            "view": "PA",
            "sex": "MF"[n // 4 % 2],
            "age": str(20 + n % 60),
            "split": "",
        }
        image = film(n)
        if edit:
            image = edit(n, line, image)
        Image.fromarray(image).save(folder / line["image"])
        lines.append(line)
    return write_manifest(folder / "manifest.csv", lines)


def validated(manifest: Path) -> list[Warning_]:
    rows = read_manifest(manifest)
    return validate(rows, statistics_of(rows, progress=False))


def warnings_of(manifest: Path) -> dict[str, Warning_]:
    return {warning.code: warning for warning in validated(manifest)}


def test_a_sound_collection_raises_no_alarm(tmp_path):
    found = warnings_of(collection(tmp_path, count=480))
    assert not [w for w in found.values() if w.severity is Severity.HIGH]
    assert set(found) <= {"tiny_finding", "patients_not_identified"}
    assert "no warnings" in as_text([])


def test_a_source_that_gives_the_finding_away_is_reported(tmp_path):
    def edit(n, line, image):
        line["source"] = "north" if line["finding"] == "normal" else "south"
        return image

    found = warnings_of(collection(tmp_path, edit))
    assert found["source_confounding"].numbers["cramers_v"] == pytest.approx(1, abs=0.03)
    assert found["source_confounding"].severity is Severity.HIGH
    assert "correct for 100% of images" in found["source_confounding"].text
    assert "Pneumonia comes from 1 source, south (80)" in found["finding_of_its_own_source"].text
    missing = found["finding_missing_in_source"]
    assert "none of which has more than a few normal" in missing.text
    assert "recognising the source" in missing.text


def test_children_of_one_source_are_reported(tmp_path):
    def edit(n, line, image):
        if line["source"] == "south":
            line["age"] = "1-5"
        return image

    reported = warnings_of(collection(tmp_path, edit))["children_in_one_source"]
    assert reported.numbers["children"] == 80
    assert "80 of the 80" in reported.text
    assert "south" in reported.text


def test_a_view_that_goes_with_the_finding_is_reported_and_unknown_ones_are_named(tmp_path):
    def edit(n, line, image):
        line["view"] = "AP" if line["finding"] == "pneumonia" else "PA"
        line["sex"] = "" if line["source"] == "south" else "F"
        return image

    found = warnings_of(collection(tmp_path, edit))
    assert "Pneumonia: AP 100%, PA 0%" in found["view_confounding"].text
    assert found["sex_unknown"].numbers["unknown"] == {"north": 0.0, "south": 1.0}
    assert "sex_confounding" not in found


def test_a_patient_in_two_parts_is_reported(tmp_path):
    def edit(n, line, image):
        line["split"] = "test" if n < 9 else "train"
        return image

    reported = warnings_of(collection(tmp_path, edit))["patient_in_two_parts"]
    assert reported.numbers == {"patients": 1, "images": 2}
    assert reported.severity is Severity.HIGH


def test_copies_are_reported_by_kind_and_only_under_other_names(tmp_path):
    def edit(n, line, image):
        line["split"] = "test" if n in (40, 60) else "train"
        if n in (20, 40):  # the same bytes, in two parts
            return film(1000)
        if n in (60, 80):  # the same pixels, scaled
            return film(2000) if n == 60 else film(2000, 160)
        if n in (100, 101):  # the same patient's
            line["patient"], line["finding"] = "same", "normal"
            return film(3000)
        return image

    found = warnings_of(collection(tmp_path, edit))
    assert found["same_bytes"].numbers["in_different_parts"] == 1
    assert found["same_bytes"].examples == ["020.png = 040.png"]
    assert found["same_bytes"].severity is Severity.HIGH
    assert found["near_duplicates"].examples == ["060.png = 080.png"]


def test_the_same_pixels_in_another_file_are_found(tmp_path):
    manifest = collection(tmp_path, lambda n, line, image: film(7) if n in (3, 80) else image)
    Image.open(tmp_path / "080.png").save(tmp_path / "080.png", compress_level=0)
    assert warnings_of(manifest)["same_pixels"].numbers["pairs"] == 1


@pytest.mark.parametrize("change", ["compressed", "scaled", "brighter"])
def test_an_image_is_recognised_after(change, tmp_path):
    image = Image.fromarray(film(5, 200))
    changed = {
        "compressed": lambda: image,
        "scaled": lambda: image.resize((90, 90), Image.Resampling.BILINEAR),
        "brighter": lambda: image.point(lambda value: min(255, value + 15)),
    }[change]()
    changed.save(tmp_path / "changed.jpg", quality=40)
    hashes = [perceptual_hash(one) for one in (image, Image.open(tmp_path / "changed.jpg"))]
    assert np.bitwise_count(hashes[0] ^ hashes[1]) <= duplicates.BITS_APART


def test_what_reports_the_finding_from_outside_is_measured(tmp_path):
    def edit(n, line, image):
        if line["finding"] == "pneumonia":
            image = image.copy()
            image[:, :8] = image[:, -8:] = 0
        return image

    found = warnings_of(collection(tmp_path, edit))
    assert found["finding_shortcut"].numbers["auc"]["pneumonia"] > 0.95
    assert "AUC" in found["finding_shortcut"].text


def test_a_source_is_reported_by_the_habits_of_its_images(tmp_path):
    def edit(n, line, image):
        return image if line["source"] == "south" else image[:64]

    reported = warnings_of(collection(tmp_path, edit))["source_shortcut"]
    assert reported.numbers["shares"]["exactly square"] == [1.0, 0.0]
    assert "south" in reported.text


def test_rare_findings_unknown_ones_and_unreadable_files_are_reported(tmp_path):
    def edit(n, line, image):
        if n < 12:
            line["finding"] = "covid19" if n < 8 else ""
        return image

    manifest = collection(tmp_path, edit)
    (tmp_path / "150.png").write_text("no image")
    found = warnings_of(manifest)
    tiny = {
        w.numbers["finding"]: w.numbers["images"] for w in validated(manifest) if w.code == "tiny_finding"
    }
    assert tiny["covid19"] == 8
    assert found["finding_unknown"].numbers == {"images": 4}
    assert found["unreadable"].numbers == {"reasons": {"not_an_image": 1}}
    assert found["unreadable"].examples == ["150.png"]


def test_a_second_look_reads_only_what_has_changed(tmp_path, monkeypatch):
    rows = read_manifest(collection(tmp_path / "images", count=12))
    first = statistics_of(rows, tmp_path / "cache", progress=False)
    Image.fromarray(film(77)).save(rows[3].path)
    read, looked = [], read_image
    monkeypatch.setattr(
        "classifier.data.manifest.read_image", lambda path, slot: read.append(path) or looked(path, slot)
    )
    second = statistics_of(rows, tmp_path / "cache", progress=False)
    assert read == [rows[3].path]
    assert (first.sha256 != second.sha256).sum() == 1
    assert (first.numbers[:3] == second.numbers[:3]).all()


def test_the_command_reports_people_and_machines(tmp_path, capsys):
    manifest = collection(tmp_path, lambda n, line, image: film(5000) if n in (2, 8) else image)
    assert main(["validate", "--manifest", str(manifest)]) == 0
    assert "[medium] same_bytes: 1 pairs" in capsys.readouterr().out
    assert main(["validate", "--manifest", str(manifest), "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)
    assert reported["images"] == 160
    (copy,) = (w for w in reported["warnings"] if w["code"] == "same_bytes")
    assert copy["examples"] == ["002.png = 008.png"]
    assert main(["validate", "--manifest", str(tmp_path / "none.csv")]) == 1
