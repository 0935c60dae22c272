"""Result objects, read back by programs that we did not write."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from classifier.reasons import AbstentionReason, ResultWarning
from tests import result_content as content
from webapp.results.objects import codes, presentation, result_report
from webapp.results.objects.content import Geometry
from webapp.results.objects.regions import outlines


def read(encoded: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(encoded))


@pytest.fixture(scope="module")
def objects() -> dict[str, bytes]:
    return content.every_object()


def report(encoded: bytes) -> hd.sr.MeasurementReport:
    return hd.sr.srread(io.BytesIO(encoded)).content


def texts(dataset: pydicom.Dataset) -> list[str]:
    return [item.TextValue for item in dataset.ContentSequence if item.ValueType == "TEXT"]


def meanings(encoded: bytes) -> set[str]:
    """Every code meaning and text anywhere in the object."""
    found = set()
    read(encoded).walk(
        lambda _, element: (
            found.add(str(element.value))
            if element.keyword in ("CodeMeaning", "TextValue", "UnformattedTextValue")
            else None
        )
    )
    return found


@pytest.mark.slow
def test_dciodvfy_reports_no_error_on_any_object(objects, tmp_path):
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy is not installed (Debian: dicom3tools)")
    wrong = {}
    for name, encoded in objects.items():
        path = tmp_path / f"{name}.dcm"
        path.write_bytes(encoded)
        ran = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, timeout=60)
        errors = re.findall(r"^Error.*", ran.stdout + ran.stderr, re.MULTILINE)
        if errors:
            wrong[name] = errors
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize("name", ["result", "withheld", "reading", "marks"])
def test_dsrdump_reads_the_reports(objects, name, tmp_path):
    if not shutil.which("dsrdump"):
        pytest.skip("dsrdump is not installed (Debian: dcmtk)")
    path = tmp_path / "report.dcm"
    path.write_bytes(objects[name])
    ran = subprocess.run(["dsrdump", "-q", path], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "Imaging Measurement Report" in ran.stdout


def test_highdicom_reads_back_the_probabilities_that_went_in(objects):
    groups = report(objects["result"]).get_image_measurement_groups()
    by_finding = {group.finding_type.meaning: group for group in groups}
    for value in content.result().values:
        group = by_finding[codes.finding_code(value.finding).meaning]
        measured = {one.name.meaning: one.value for one in group.get_measurements()}
        assert measured["Probability"] == pytest.approx(value.probability)
        assert measured[codes.THRESHOLD.meaning] == pytest.approx(value.threshold)
        reported = group.get_qualitative_evaluations(codes.REPORTED)[0].value
        assert (reported.value == codes.YES.value) == (value.finding == "pneumonia")


def test_the_report_names_the_algorithm_with_its_version_and_the_hash_of_its_artifact(objects):
    found = meanings(objects["result"])
    assert {"hilum-cxr", "cxr-3", f"artifact SHA-256: {'ab' * 32}"} <= found
    assert content.result().warning_texts[0] in found


def test_a_result_is_stated_by_a_device_and_a_reading_by_the_person_who_signed_it(objects):
    result, reading = read(objects["result"]), read(objects["reading"])
    assert "Device" in meanings(objects["result"])
    assert (result.VerificationFlag, reading.VerificationFlag) == ("UNVERIFIED", "VERIFIED")
    assert str(reading.VerifyingObserverSequence[0].VerifyingObserverName) == "Doe^Jane"
    assert reading.VerifyingObserverSequence[0].VerificationDateTime.startswith("20261120103000")
    assert content.READING.impression in texts(reading)


def test_the_region_of_the_heatmap_lies_where_the_map_is_strong(objects):
    (group,) = report(objects["result"]).get_planar_roi_measurement_groups()
    points = group.roi.value
    assert group.roi.graphic_type == hd.sr.GraphicTypeValues.POLYLINE
    assert points.min(axis=0) == pytest.approx([100, 100], abs=8)
    assert points.max(axis=0) == pytest.approx([300, 300], abs=8)
    assert read(objects["result"]).CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID == "1.2.3.1"


def test_a_weak_map_has_no_region():
    assert not outlines(content.cam(0.4), "pneumonia", content.SOURCE.geometry)


@pytest.mark.parametrize("name", ["withheld", "overlay_withheld", "heatmap_withheld"])
def test_a_withheld_result_states_why_and_never_a_finding(objects, name):
    found = " ".join(meanings(objects[name])) + str(read(objects[name]).get("DerivationDescription", ""))
    assert codes.REASONS[AbstentionReason.LATERAL_VIEW].meaning in found
    assert "neumonia" not in found
    assert codes.PROBABILITY.meaning not in found.split()
    if name == "withheld":
        groups = report(objects[name]).get_image_measurement_groups()
        assert [group.finding_type.value for group in groups] == [codes.RESULT.value]


def test_a_corrected_report_names_the_one_that_it_replaces(objects):
    (study,) = read(objects["result"]).PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == content.EARLIER.sop_uid
    assert "PredecessorDocumentsSequence" not in read(objects["withheld"])


def test_the_same_result_makes_the_same_bytes(objects):
    assert content.every_object() == objects


def test_the_overlay_is_marked_and_coloured_only_where_there_is_a_map(objects):
    pixels = read(objects["overlay"]).pixel_array
    grey, coloured = pixels[550, 50], pixels[200, 200]
    assert grey[0] == grey[1] == grey[2]
    assert coloured.max() - coloured.min() > 40
    assert (pixels[600:] > 100).any()  # the text under the image
    assert "research use" in read(objects["overlay"]).SeriesDescription
    withheld = read(objects["overlay_withheld"]).pixel_array[:600]
    assert (withheld.max(axis=2) == withheld.min(axis=2)).all()


def test_an_upload_that_was_no_dicom_file_keeps_its_pixels(objects):
    dataset = read(objects["converted"])
    assert (dataset.pixel_array == content.GREY.astype(np.uint16) * 257).all()


def test_the_pdf_comes_out_as_it_went_in(objects):
    dataset = read(objects["pdf"])
    assert dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength] == content.PDF


def test_the_presentation_state_refers_to_the_image_and_draws_lines_at_three_strengths(objects):
    state = read(objects["heatmap"])
    reference = state.ReferencedSeriesSequence[0].ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == content.REFERENCE.sop_uid
    (annotation,) = state.GraphicAnnotationSequence
    lines = [np.array(line.GraphicData).reshape(-1, 2) for line in annotation.GraphicObjectSequence]
    sizes = [float(np.ptp(line, axis=0).min()) for line in lines]
    assert len(lines) == len(presentation.LEVELS)
    assert sizes == sorted(sizes, reverse=True)
    assert "GraphicObjectSequence" not in read(objects["heatmap_withheld"]).GraphicAnnotationSequence[0]


def test_every_mark_is_in_the_report_with_its_values(objects):
    groups = report(objects["marks"]).get_planar_roi_measurement_groups()
    names = [group.tracking_identifier for group in groups]
    assert names == [
        "length: nodule",
        "angle",
        "ellipse",
        "rectangle",
        "probe",
        "arrow: see here",
        "heart",
        "thorax",
    ]
    length = groups[0].get_measurements()[0]
    assert (length.value, length.unit.value) == (3.1, "mm")
    assert groups[0].get_qualitative_evaluations()[0].value.value == codes.AT_DETECTOR.value
    ratio = groups[-1].get_measurements(codes.CARDIOTHORACIC_RATIO)[0]
    assert ratio.value == pytest.approx(0.4)


def test_a_key_image_selection_and_a_rejection_note_refer_to_their_objects(objects):
    selection, note = (read(objects[name]) for name in ("key_images", "rejection"))
    assert selection.ConceptNameCodeSequence[0].CodeValue == codes.OF_INTEREST.value
    assert note.ConceptNameCodeSequence[0].CodeValue == codes.REJECTED.value
    for dataset, uid in ((selection, content.REFERENCE.sop_uid), (note, content.EARLIER.sop_uid)):
        series = dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
        assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == uid


def test_patient_and_study_are_those_of_the_image(objects):
    for name, encoded in objects.items():
        dataset = read(encoded)
        stated = (
            dataset.PatientID,
            str(dataset.PatientName),
            dataset.StudyInstanceUID,
            dataset.AccessionNumber,
        )
        assert stated == ("P0001", "Müller^Jürgen", "1.2.3.1", "A77"), name
        assert dataset.IssuerOfPatientID == "HOSPITAL"


def test_every_reason_and_warning_has_a_code_of_its_own():
    assert set(codes.REASONS) == set(AbstentionReason)
    assert set(codes.WARNINGS) == set(ResultWarning)
    own = codes.own_codes()
    assert len({code.value for code in own}) == len(own)
    assert all(len(code.value) <= 16 and len(code.meaning) <= 64 for code in own)


def test_any_finding_has_a_valid_code():
    long = codes.finding_code("a_finding_with_a_long_name")
    assert len(long.value) <= 16
    assert long.scheme_designator == codes.SCHEME
    assert codes.finding_code("b_finding_with_a_long_name").value != long.value


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((), (10, 20)),
        (("flip_horizontally",), (490, 20)),
        (("flip_vertically",), (10, 580)),
        (("transpose",), (20, 10)),
        (("transpose", "flip_horizontally"), (20, 590)),
    ],
)
def test_points_are_those_of_the_stored_image(steps, expected):
    """Against the image itself: a bright pixel is moved as `classifier.images.geometry` moves it."""
    from classifier.images import geometry

    shown = (500, 600) if "transpose" in steps else (600, 500)
    place = Geometry(600, 500, shown, steps)
    assert place.stored([(10, 20)]).tolist() == [list(expected)]
    stored = np.zeros((600, 500))
    stored[min(int(expected[1]), 599), min(int(expected[0]), 499)] = 1
    y, x = np.argwhere(geometry._turned(stored, steps))[0]
    assert abs(x - 10) <= 1
    assert abs(y - 20) <= 1


def test_points_of_an_image_that_was_stretched_to_square_pixels_are_scaled_back():
    assert Geometry(300, 500, (600, 500)).stored([(10, 20)]).tolist() == [[10, 10]]


def test_a_result_without_a_reported_finding_says_so():
    encoded = result_report.result_report(
        content.SOURCE, replace(content.result(), finding=""), content.MAKER, content.document("none")
    )
    assert codes.NO_FINDING_REPORTED.meaning in meanings(encoded)


def test_the_documents_list_every_private_code():
    text = (Path(__file__).resolve().parents[3] / "docs" / "result-objects.md").read_text()
    missing = [code for code in codes.own_codes() if f"| {code.value} | {code.meaning} |" not in text]
    assert not missing
    assert codes.SCHEME_UID in text
