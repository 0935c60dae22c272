from __future__ import annotations

from datetime import date, time

import pytest

from webapp.pages.display import hue_of, lower_first, name_of_finding, study_time, uncertainty_level
from webapp.scans.patients.person_name import displayed as name_of_person


@pytest.mark.parametrize(
    ("dicom", "written"),
    [
        ("DOE^Jane^M", "DOE, Jane M"),
        ("Müller", "Müller"),
        ("Yamada^Tarou=山田^太郎", "Yamada, Tarou"),
        ("^Solo", "Solo"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_dicom_name_is_written_as_in_a_list(dicom, written):
    assert name_of_person(dicom) == written


def test_findings_are_spoken_as_people_write_them():
    assert name_of_finding("covid19") == "COVID-19"
    assert name_of_finding("pleural_effusion") == "Pleural effusion"
    assert name_of_finding("") == "none"


def test_a_findings_hue_is_the_same_every_time_and_none_has_none():
    assert hue_of("pneumonia") == "hue-pneumonia"
    assert hue_of("cardiomegaly") == hue_of("cardiomegaly") != ""
    assert hue_of("") == ""


def test_uncertainty_in_a_word():
    assert [uncertainty_level(u) for u in (0.0, 0.5, 0.9, None)] == ["low", "medium", "high", ""]


def test_a_sentence_goes_on_small_unless_it_begins_an_abbreviation():
    assert lower_first("This looks") == "this looks"
    assert lower_first("CT slices") == "CT slices"


def test_moments_without_a_time_or_a_day():
    assert study_time(date(2026, 1, 2), time(3, 4)) == "2026-01-02 03:04"
    assert study_time(date(2026, 1, 2)) == "2026-01-02"
    assert study_time(None) == "undated"
