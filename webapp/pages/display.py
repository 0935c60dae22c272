"""Display texts that all pages share: findings, people, uncertainty; and each finding's hue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from typing import Any
from zlib import crc32

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from classifier.contract import finding_name, findings_in_text

KNOWN_HUES = ("pneumonia", "covid19", "normal", "opacity")
SPARE_HUES = 4
SLOTS = {
    "cxr": gettext_lazy("Chest X-rays"),
    "ct": gettext_lazy("CT slices"),
    "phantom": gettext_lazy("Phantoms (simulated)"),
}
# Normalised entropy: (from, below).
UNCERTAINTIES = {"low": (0.0, 0.4), "medium": (0.4, 0.75), "high": (0.75, 1.01)}


def name_of_finding(finding: str | None) -> str:
    """The display name: `covid19` is COVID-19, `pleural_effusion` is Pleural effusion."""
    if not finding:
        return "none"
    return finding_name(finding)


def set_in_words(prediction_set: Mapping[str, Any] | None) -> str:
    """A prediction set of several findings: COVID-19 or pneumonia (90 % coverage); empty for a single one."""
    if not prediction_set or len(prediction_set["findings"]) < 2:
        return ""
    values = {
        "findings": findings_in_text(prediction_set["findings"]),
        "coverage": f"{100 * prediction_set['coverage']:g}",
    }
    return _("%(findings)s (%(coverage)s %% coverage)") % values


def name_of_slot(slot: str) -> str:
    """The kind of image that a slot's models classify: `cxr` is Chest X-rays."""
    return str(SLOTS.get(slot, slot))


def hue_of(finding: str | None) -> str:
    """The CSS class of the finding's colour-blind-safe hue; it never changes for a name."""
    if not finding:
        return ""
    return f"hue-{finding if finding in KNOWN_HUES else 1 + crc32(finding.encode()) % SPARE_HUES}"


def uncertainty_level(uncertainty: float | None) -> str:
    """Normalised entropy (0 to 1) as low, medium or high."""
    if uncertainty is None:
        return ""
    return next((level for level, (_, below) in UNCERTAINTIES.items() if uncertainty < below), "high")


def lower_first(text: str) -> str:
    """The text after a colon: its first letter in lower case, unless it begins an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def study_time(day: date | None, clock: time | None = None) -> str:
    """A study's date and time as stated by the file or at upload: local, without a known zone."""
    if day is None:
        return "undated"
    return f"{day:%Y-%m-%d} {clock:%H:%M}" if clock else f"{day:%Y-%m-%d}"


def date_of(study: Any) -> str:
    """`study_time` of a study, marked where the day is made up and only order and distance are real."""
    text = study_time(study.study_date, study.study_time)
    return _("%(date)s (relative)") % {"date": text} if study.date_is_relative else text


def name_of_user(user: Any) -> str:
    """The full name, else the account name."""
    return user.get_full_name() or user.get_username()
