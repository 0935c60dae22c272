"""Facts of a de-identified file are believed where they are pseudonyms, terms or dates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from classifier.errors import Refused
from classifier.images.decoded_image import DecodedImage
from classifier.images.deidentify.check import refuse_identity
from classifier.images.deidentify.files import deidentify_file
from classifier.images.deidentify.pseudonyms import DeidentifyOptions
from classifier.images.read import read_image
from tests.classifier.images.samples import chest, dataset, write

OPTIONS = DeidentifyOptions(b"a key of thirty-two random bytes", keep_characteristics=True)


@pytest.fixture
def facts(tmp_path: Path) -> DecodedImage:
    header = {
        "PatientID": "4711",
        "PatientName": "Secretova^Anna",
        "StudyDate": "20260305",
        "PatientAge": "040Y",
    }
    header |= {"StudyTime": "101112.5", "StudyInstanceUID": "1.2.3", "Manufacturer": "Secretova & Sons"}
    header |= {"AccessionNumber": "A-1", "BodyPartExamined": "CHEST", "InstanceNumber": "3"}
    path = write(tmp_path / "x.dcm", dataset(chest(), bits=12, PatientOrientation=["R", "F"], **header))
    path.write_bytes(deidentify_file(path, OPTIONS))
    return read_image(path)


def test_the_facts_of_a_cleaned_file_are_believed(facts: DecodedImage) -> None:
    assert "turned" in facts.notes
    refuse_identity(facts, OPTIONS)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "Secretova"),
        ("PatientID", "4711"),
        ("StudyInstanceUID", "1.2.3"),
        ("StudyDescription", "Secretova"),
        ("BodyPartExamined", "SECRETOVA"),
        ("Manufacturer", "Secretova"),
        ("StudyTime", "Secretova"),
        ("ImageLaterality", ["R", "Secretova"]),
        ("Secretova", "Secretova"),
    ],
)
def test_a_fact_that_may_identify_is_refused(facts: DecodedImage, keyword: str, value: Any) -> None:
    with pytest.raises(Refused):
        refuse_identity(replace(facts, metadata={**facts.metadata, keyword: value}), OPTIONS)


@pytest.mark.parametrize(
    "notes", [{"Secretova": {}}, {"turned": {"stored": "Secretova"}}, {"turned": "Anna"}]
)
def test_a_note_that_may_identify_is_refused(facts: DecodedImage, notes: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        refuse_identity(replace(facts, notes=notes), OPTIONS)


def test_pseudonyms_of_another_key_are_refused(facts: DecodedImage) -> None:
    with pytest.raises(Refused):
        refuse_identity(facts, DeidentifyOptions(b"another key, as long as that one"))
