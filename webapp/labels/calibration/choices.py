"""What an administrator can ask of a site calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from classifier.contract import ModelSpec
from classifier.evaluation.site.correction import NONE, RECALIBRATIONS
from webapp.core.errors import CodedError

FALSE_ALARM_RATE = 0.1
UNCHANGED, LABELS, STREAM, STATED = PREVALENCES = ("unchanged", "labels", "stream", "stated")
BY_RATE, CHOSEN, MODEL = RULES = ("false_alarm_rate", "chosen", "model")
RATES, SHARES, THRESHOLDS = (0.001, 0.5), (0.001, 0.999), (0.001, 0.999)


@dataclass(frozen=True)
class Choices:
    """What an administrator asks for.

    `prevalence`: as recalibrated (`unchanged`), of the `labels`, of the unlabelled `stream` by EM, or
    `stated` in `shares`. `rule`: each threshold by the largest false-alarm `rate`, `chosen` in
    `thresholds`, or the `model`'s.
    """

    recalibration: str = NONE
    prevalence: str = UNCHANGED
    shares: Mapping[str, float] = field(default_factory=dict)
    rule: str = BY_RATE
    rate: float = FALSE_ALARM_RATE
    thresholds: Mapping[str, float] = field(default_factory=dict)


def check_choices(choices: Choices, spec: ModelSpec) -> None:
    """Raise CodedError `invalid` with what is wrong with which field."""
    wrong: dict[str, str] = {}
    for name, allowed in (
        ("recalibration", RECALIBRATIONS),
        ("prevalence", PREVALENCES),
        ("rule", RULES),
    ):
        if getattr(choices, name) not in allowed:
            wrong[name] = f"Must be one of: {', '.join(allowed)}."
    if choices.rule == BY_RATE and not RATES[0] <= choices.rate <= RATES[1]:
        wrong["rate"] = f"Must be from {RATES[0]} to {RATES[1]}."
    if choices.rule == CHOSEN:
        wrong |= _check_numbers("thresholds", choices.thresholds, spec, THRESHOLDS)
    if choices.prevalence == STATED:
        wrong |= _check_numbers("shares", choices.shares, spec, SHARES)
        total = sum(choices.shares.values())
        if "shares" not in wrong and spec.activation == "softmax" and abs(total - 1) > 0.005:
            wrong["shares"] = f"Must add up to 100 %; they add up to {100 * total:.1f} %."
    if wrong:
        by_field = {name: [text] for name, text in wrong.items()}
        raise CodedError("invalid", fields=by_field)


def _check_numbers(
    name: str, values: Mapping[str, float], spec: ModelSpec, limits: tuple[float, float]
) -> dict[str, str]:
    if set(values) != set(spec.findings):
        return {name: f"Give one number for each of: {', '.join(spec.findings)}."}
    low, high = limits
    outside = [finding for finding, value in values.items() if not low <= value <= high]
    return {name: f"Must be from {low} to {high}: {', '.join(outside)}."} if outside else {}
