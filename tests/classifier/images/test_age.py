"""The age of a patient, from headers as they are written."""

from __future__ import annotations

from datetime import date

import pytest

from classifier.images.age import age_in_years, unreadable_age

BORN_2000 = {"PatientBirthDate": "20000101"}


@pytest.mark.parametrize(
    ("attributes", "age"),
    [
        ({"PatientAge": "045Y"}, 45),
        ({"PatientAge": "018M"}, 1.5),
        ({"PatientAge": "62"}, 62),
        ({"PatientAge": "045y"}, 45),
        ({"PatientAge": "3 M"}, 0.25),
        ({"PatientAge": "0004M"}, 1 / 3),
        ({"PatientAge": "08MO"}, 2 / 3),
        ({"PatientAge": "10 days"}, 10 / 365),
        ({"PatientAge": "45 yrs."}, 45),
        ({"PatientAge": "odd", **BORN_2000, "StudyDate": "20300101"}, 30),
        ({"PatientBirthDate": "2000.01.01", "StudyDate": "20300101"}, 30),
        ({**BORN_2000, "StudyDate": "19990101"}, None),
        (BORN_2000, None),
        ({"PatientAge": "999Y"}, None),
        ({"PatientBirthDate": "18000101", "StudyDate": "20300101"}, None),
        ({}, None),
    ],
)
def test_the_age_is_what_is_stated_or_follows_from_the_dates(attributes: dict, age: float | None) -> None:
    assert age_in_years(attributes) == (None if age is None else pytest.approx(age, abs=0.01))


@pytest.mark.parametrize("filler", ["000Y", "0", "000D", "   ", "Y"])
def test_a_filler_is_no_age(filler: str) -> None:
    assert age_in_years({"PatientAge": filler}) is None
    seen = {"PatientAge": filler, **BORN_2000, "StudyDate": "20600101"}
    assert age_in_years(seen) == pytest.approx(60, abs=0.01)


@pytest.mark.parametrize(
    "seen",
    [
        {"AcquisitionDate": "20000301"},
        {"SeriesDate": "20000301"},
        {"ContentDate": "20000301"},
        {"AcquisitionDateTime": "20000301101500.000+0100"},
    ],
    ids=lambda seen: next(iter(seen)),
)
def test_an_infant_is_known_by_any_date_of_the_image(seen: dict) -> None:
    assert age_in_years({**BORN_2000, **seen}) == pytest.approx(60 / 365, abs=0.01)


def test_dates_of_the_record_complete_the_header() -> None:
    born, seen = date(1960, 1, 1), date(2020, 1, 1)
    assert age_in_years({}, born=born, seen=seen) == pytest.approx(60, abs=0.01)
    assert age_in_years({"PatientAge": "000Y"}, born=born, seen=seen) == pytest.approx(60, abs=0.01)


def test_the_birth_date_is_more_exact_and_a_contradicting_one_gives_way() -> None:
    seen = {"PatientAge": "001Y", "StudyDate": "20001001"}
    assert age_in_years({**seen, **BORN_2000}) == pytest.approx(0.75, abs=0.01)
    assert age_in_years({**seen, "PatientBirthDate": "19500101"}) == 1


@pytest.mark.parametrize(
    ("written", "unreadable"), [("old", "old"), ("999Y", "999Y"), ("000Y", ""), ("045Y", ""), (None, "")]
)
def test_an_age_that_cannot_be_read_is_stated(written: str | None, unreadable: str) -> None:
    assert unreadable_age({"PatientAge": written}) == unreadable
