"""Display names of findings and age bands, shared by the library, the command line and the pages."""

from __future__ import annotations

import pytest

from classifier.contract import age_band, finding_name


@pytest.mark.parametrize(
    ("finding", "name"),
    [("covid19", "COVID-19"), ("normal", "Normal"), ("pleural_effusion", "Pleural effusion")],
)
def test_findings_have_display_names(finding: str, name: str) -> None:
    assert finding_name(finding) == name


@pytest.mark.parametrize(("age", "band"), [(None, ""), (0.5, "<1"), (1, "1-5"), (17.9, "6-17"), (90, "65+")])
def test_ages_fall_into_bands(age: float | None, band: str) -> None:
    assert age_band(age) == band
