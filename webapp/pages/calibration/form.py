"""The form of a site calibration: numbers as people write them, shares in per cent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from classifier.contract import ModelSpec
from classifier.evaluation.site.correction import ISOTONIC, LEAST, NONE, TEMPERATURE
from webapp.core.errors import CodedError
from webapp.labels.calibration.choices import (
    BY_RATE,
    CHOSEN,
    LABELS,
    MODEL,
    STATED,
    STREAM,
    UNCHANGED,
    Choices,
)

RECALIBRATIONS = {
    NONE: gettext_lazy("Keep the model's own"),
    TEMPERATURE: gettext_lazy("Temperature and a bias for each finding"),
    ISOTONIC: gettext_lazy("Isotonic regression"),
}
PREVALENCES = {
    UNCHANGED: gettext_lazy("Do not correct"),
    LABELS: gettext_lazy("As among the labelled scans"),
    STREAM: gettext_lazy("Estimate from all results, without labels (EM)"),
    STATED: gettext_lazy("State it"),
}
RULES = {
    BY_RATE: gettext_lazy("By the largest false-alarm rate"),
    CHOSEN: gettext_lazy("Choose each threshold"),
    MODEL: gettext_lazy("Keep the model's"),
}


@dataclass(frozen=True)
class Field:
    """A number to enter for a finding, as text."""

    finding: str
    name: str
    value: str


def choices_of(data: QueryDict, spec: ModelSpec) -> Choices:
    """The choices in a submitted form; raises CodedError `invalid` for what is not a number."""
    rule, prevalence = data.get("rule", BY_RATE), data.get("prevalence", UNCHANGED)
    shares = _numbers(data, "share", spec) if prevalence == STATED else {}
    return Choices(
        recalibration=data.get("recalibration", NONE),
        prevalence=prevalence,
        shares={finding: value / 100 for finding, value in shares.items()},
        rule=rule,
        rate=_number(data, "rate") / 100 if rule == BY_RATE else Choices.rate,
        thresholds=_numbers(data, "threshold", spec) if rule == CHOSEN else {},
    )


def until_of(data: QueryDict) -> datetime | None:
    """The time of the preview that the form was shown with; None if there is none, or it lies ahead."""
    try:
        found = parse_datetime(data.get("until", ""))
    except ValueError:
        return None
    if found is None or timezone.is_naive(found):
        return None
    return min(found, timezone.now())


def form_context(
    choices: Choices, spec: ModelSpec, thresholds: Mapping[str, float], shares: Mapping[str, float]
) -> dict[str, Any]:
    """Template values of the form; `thresholds` and `shares` fill the fields that were not entered."""
    return {
        "choices": choices,
        "rate": _text(100 * choices.rate),
        "recalibrations": [(key, text, LEAST.get(key)) for key, text in RECALIBRATIONS.items()],
        "prevalences": PREVALENCES.items(),
        "rules": RULES.items(),
        "share_fields": [
            Field(f, f"share-{f}", _text(100 * (choices.shares.get(f) or shares.get(f) or 0)))
            for f in spec.findings
        ],
        "threshold_fields": [
            Field(f, f"threshold-{f}", f"{choices.thresholds.get(f, thresholds[f]):.3f}")
            for f in spec.findings
        ],
    }


def hidden_fields(data: QueryDict) -> list[tuple[str, str]]:
    """The choices of a submitted form, to submit them again with the next one."""
    known = {"recalibration", "prevalence", "rule", "rate"}
    return [(name, data[name]) for name in data if name in known or name.startswith(("share-", "threshold-"))]


def _numbers(data: QueryDict, name: str, spec: ModelSpec) -> dict[str, float]:
    return {finding: _number(data, f"{name}-{finding}") for finding in spec.findings}


def _number(data: QueryDict, name: str) -> float:
    try:
        return float(data.get(name, "").replace(",", "."))
    except ValueError as error:
        raise CodedError("invalid", fields={name: [_("Must be a number.")]}) from error


def _text(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
