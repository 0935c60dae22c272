"""The promotion gate: takes a comparison and a policy, returns an outcome with reasons. Pure: no database.

It judges by all cases, not only those with a result: abstaining on hard cases must not improve a score.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from classifier.contract import finding_in_text, finding_name

SCAN_IN_PATH = re.compile(r"/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/")
DECISIONS = ("sensitivity", "specificity")
GROUPS = {"source": "source", "view": "view", "sex": "sex", "age": "age band"}
ROLES = {"candidate": "the candidate", "active": "the active model"}
Z = 1.959964


class Outcome(StrEnum):
    """`unjudged`: the test set is too small."""

    PASSED = "passed"
    FAILED = "failed"
    UNJUDGED = "unjudged"


def rule(default: float, low: float, high: float, label: str, help_text: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "label": label, "help": help_text})


@dataclass(frozen=True)
class PolicyRules:
    """The promotion rules; each field's metadata has its bounds, label and help text."""

    macro_auc_margin: float = rule(
        0.03, 0, 0.5, "Macro AUC margin",
        "Non-inferiority: the lower 95 % confidence limit of the difference must be above minus this value.",
    )  # fmt: skip
    finding_auc_margin: float = rule(
        0.05, 0, 0.5, "AUC margin per finding", "No finding's AUC may fall by more than this."
    )
    sensitivity_margin: float = rule(
        0.10, 0, 1, "Sensitivity margin per finding",
        "At each model's own thresholds, no sensitivity may fall significantly by more than this.",
    )  # fmt: skip
    specificity_margin: float = rule(
        0.10, 0, 1, "Specificity margin per finding",
        "At each model's own thresholds, no specificity may fall significantly by more than this.",
    )  # fmt: skip
    calibration_limit: float = rule(
        0.10, 0, 1, "Calibration error limit",
        "Mean ECE over the findings. A larger error passes only where chance explains it for few cases.",
    )  # fmt: skip
    min_cases: int = rule(
        20, 1, 100_000, "Minimum test cases per finding",
        "Test cases with the finding. With fewer, the candidate is not judged.",
    )  # fmt: skip
    coverage_margin: float = rule(
        0.05, 0, 1, "Coverage margin", "The share of cases with a result may fall by at most this."
    )
    group_min_cases: int = rule(
        20, 1, 100_000, "Minimum cases per subgroup",
        "With and without the finding. Smaller subgroups are not judged.",
    )  # fmt: skip
    group_margin: float = rule(
        0.10, 0, 0.5, "Subgroup AUC margin",
        "By source, view, sex and age band, no finding's AUC may fall by more than this.",
    )  # fmt: skip
    group_floor: float = rule(
        0.50, 0, 1, "Subgroup AUC floor", "No finding's AUC may be below this in any subgroup."
    )
    shortcut_limit: float = rule(
        0.80, 0.5, 1, "Shortcut test limit", "The macro AUC with the lungs masked must stay below this."
    )
    shortcut_margin: float = rule(
        0.10, 0, 0.5, "Shortcut test margin",
        "With the lungs masked, the candidate's macro AUC may exceed the active model's by at most this.",
    )  # fmt: skip

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The rules from plain values; raises ValueError with `{name: reason}` for invalid ones."""
        wrong = {name: "Unknown rule." for name in values.keys() - {f.name for f in fields(cls)}}
        given = {}
        for one in fields(cls):
            value = values.get(one.name, one.default)
            low, high = one.metadata["low"], one.metadata["high"]
            whole = isinstance(one.default, int)
            fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
            if not (fits and low <= value <= high):
                kind = "whole number" if whole else "number"
                wrong[one.name] = f"Must be a {kind} from {low:g} to {high:g}."
            given[one.name] = value
        if wrong:
            raise ValueError(wrong)
        return cls(**given)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class PromotionResult:
    """`reasons`: why the candidate did not pass; `notes` do not affect the outcome."""

    outcome: Outcome
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


def evaluate_promotion_gate(policy: PolicyRules, comparison: Mapping[str, Any]) -> PromotionResult:
    """The outcome of a comparison by `python -m classifier compare`; `excluded` counts the overlap.

    With too few cases the candidate stays unjudged, whatever the numbers are.
    """
    missing = tuple(_missing_cases(policy, comparison))
    if not comparison["cases"]:
        return PromotionResult(Outcome.UNJUDGED, missing, tuple(_overlap(comparison)))
    checks = (_results, _findings, _overall, _each_finding, _calibration, _coverage, _groups, _shortcuts)
    reasons = tuple(reason for check in checks for reason in check(policy, comparison))
    notes = (*_overlap(comparison), *_moved(policy, comparison), *_notes(comparison))
    outcome = Outcome.UNJUDGED if missing else Outcome.FAILED if reasons else Outcome.PASSED
    return PromotionResult(outcome, missing + reasons, notes)


def recommended_cases(
    policy: PolicyRules, findings: int, *, auc: float = 0.85, correlation: float = 0.8
) -> int:
    """Test cases of each finding with which an equally good candidate passes the macro AUC rule.

    An estimate for balanced, mutually exclusive findings: standard error of an AUC after Hanley and McNeil
    (1982), of a paired difference by the correlation of the two models (1983). `min_cases` for a margin of 0.
    """
    if policy.macro_auc_margin <= 0:
        return policy.min_cases
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    ratio = max(findings - 1, 1)  # cases without the finding for each one with it; independent AUCs

    def half_width(n: int) -> float:
        spread = auc * (1 - auc) + (n - 1) * (q1 - auc**2) + (ratio * n - 1) * (q2 - auc**2)
        return Z * math.sqrt(2 * (1 - correlation) * spread / (ratio * n * n) / ratio)

    n = policy.min_cases
    while half_width(n) > policy.macro_auc_margin:
        n += max(1, n // 50)
    return n


def _missing_cases(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    if not found["cases"]:
        yield "No test cases are left to compare the models on."
    for finding, values in found["all"]["findings"].items():
        if values["present"] < policy.min_cases:
            yield (
                f"Only {values['present']} test cases with {finding_in_text(finding)}; "
                f"the policy requires {policy.min_cases}."
            )


def _overlap(found: Mapping[str, Any]) -> Iterator[str]:
    excluded = found.get("excluded")
    if not excluded:
        return
    if excluded["cases"]:
        sides = [f"{excluded[side]} by {name}" for side, name in ROLES.items() if excluded.get(side)]
        total = found["cases"] + excluded["cases"]
        yield (
            f"{excluded['cases']} of {total} test cases were excluded: used in training or validation "
            f"({', '.join(sides)})."
        )
    for side in excluded["unrecorded"]:
        yield (
            f"{ROLES[side].capitalize()} does not record its training data, so overlap with the test set "
            "could not be checked."
        )


def _results(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    mine, others = found["no_result"]["candidate"], found["no_result"].get("active", 0)
    if mine > others:
        yield f"The candidate has no prediction for {mine} images, the active model for {others}."


def _findings(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    for finding in found["lost_findings"]:
        yield f"The candidate does not classify {finding_in_text(finding)}, which the active model reports."


def _overall(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    macro = found["all"]["overall"]["macro_auc"]
    if macro["candidate"]["value"] is None:
        yield "The macro AUC cannot be computed on this test part."
        return
    gap, margin = macro["difference"], policy.macro_auc_margin
    if gap is None:
        if macro["candidate"]["value"] <= 0.5:
            yield f"The candidate's macro AUC of {_n(macro['candidate'])} is no better than chance."
    elif gap["low"] is None or gap["low"] < -margin:
        yield (
            f"Macro AUC {_n(macro['candidate'])} vs {_n(macro['active'])}: the difference of "
            f"{_signed(gap['value'])} ({_signed(gap['low'])} to {_signed(gap['high'])}) does not rule out "
            f"that the candidate is worse by more than {margin:.2f}."
        )


def _each_finding(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    for finding, values in found["all"]["findings"].items():
        gap, margin = values["auc"]["difference"], policy.finding_auc_margin
        if gap and gap["value"] is not None and gap["value"] < -margin:
            yield _worse(finding, values, "AUC", margin)
        for name, margin in _fallen(policy, values):
            if not _offset(values, name):
                yield _worse(finding, values, name, margin)


def _fallen(policy: PolicyRules, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Of sensitivity and specificity those that fell significantly by more than the margin."""
    margins = {"sensitivity": policy.sensitivity_margin, "specificity": policy.specificity_margin}
    for name, margin in margins.items():
        gap = values[name]["difference"]
        known = gap and None not in (gap["value"], gap["high"])
        if known and gap["value"] < -margin and gap["high"] < 0:
            yield name, margin


def _offset(values: Mapping[str, Any], fallen: str) -> bool:
    """Whether the other of the two rose significantly by more: a different, better operating point."""
    other = {"sensitivity": "specificity", "specificity": "sensitivity"}[fallen]
    risen, lost = values[other]["difference"], values[fallen]["difference"]
    return bool(risen) and (risen["low"] or 0) > 0 and risen["value"] > -lost["value"]


def _moved(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    for finding, values in found["all"]["findings"].items():
        for name, _ in _fallen(policy, values):
            if _offset(values, name):
                pairs = [
                    f"{one} {_n(values[one]['candidate'])} vs {_n(values[one]['active'])}"
                    for one in DECISIONS
                ]
                yield f"{finding_name(finding)} has a different operating point: {', '.join(pairs)}."


def _worse(finding: str, values: Mapping[str, Any], name: str, margin: float) -> str:
    sides = values[name.lower()]
    return (
        f"{finding_name(finding)}: {name} {_n(sides['candidate'])} vs {_n(sides['active'])}, "
        f"worse by {-sides['difference']['value']:.2f}; the policy allows {margin:.2f}."
    )


def _calibration(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    error = found["all"]["overall"]["calibration_error"]["candidate"]["value"]
    chance = found["calibration_by_chance"]
    if error is not None and error > max(policy.calibration_limit, chance):
        yield (
            f"The calibration error of {error:.2f} is above the limit of {policy.calibration_limit:.2f} and "
            f"above what chance explains on this test part ({chance:.2f})."
        )


def _coverage(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    ours, theirs = found["coverage"]["candidate"], found["coverage"].get("active")
    if theirs is not None and ours < theirs - policy.coverage_margin:
        yield (
            f"The candidate has a result for {_percent(ours)} of the cases, the active model for "
            f"{_percent(theirs)}; the policy allows {_percent(policy.coverage_margin)} less."
        )


def _groups(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    for by, groups in found["groups"].items():
        for group, values in groups.items():
            for finding, within in values["findings"].items():
                if min(within["present"], within["absent"]) >= policy.group_min_cases:
                    yield from _in_group(policy, f"{GROUPS[by]} {group}", finding, within.get("auc"))


def _in_group(policy: PolicyRules, group: str, finding: str, auc: Mapping[str, Any] | None) -> Iterator[str]:
    if not auc or auc["candidate"]["value"] is None:
        return
    value, gap = auc["candidate"]["value"], auc["difference"]
    if value < policy.group_floor:
        yield (
            f"In {group}, {finding_in_text(finding)} has an AUC of {value:.2f}, "
            f"below the floor of {policy.group_floor:.2f}."
        )
    elif gap and gap["value"] is not None and gap["value"] < -policy.group_margin:
        yield (
            f"In {group}, {finding_in_text(finding)} has an AUC of {value:.2f} vs {_n(auc['active'])}, "
            f"worse by {-gap['value']:.2f}; the policy allows {policy.group_margin:.2f}."
        )


def _shortcuts(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    hidden = {side: lungs_hidden(found, side) for side in ("candidate", "active")}
    ours, theirs = hidden["candidate"], hidden["active"]
    if ours is None:
        return
    if ours >= policy.shortcut_limit:
        yield (
            f"With the lungs masked, the candidate still reaches a macro AUC of {ours:.2f} (limit "
            f"{policy.shortcut_limit:.2f}): it uses information outside the lungs."
        )
    elif theirs is not None and ours > theirs + policy.shortcut_margin:
        yield (
            f"With the lungs masked, the candidate reaches a macro AUC of {ours:.2f}, the active model "
            f"{theirs:.2f}; the policy allows {policy.shortcut_margin:.2f} more."
        )


def scan_in(image: str) -> UUID | None:
    """The id of the scan in an image path of a snapshot; None for the image of another manifest."""
    match = SCAN_IN_PATH.search(image)
    return UUID(match[1]) if match else None


def lungs_hidden(found: Mapping[str, Any], side: str) -> float | None:
    """The macro AUC of a side with the lungs masked, None where the test was not possible."""
    tested = (found.get("shortcuts") or {}).get(side) or {}
    return tested["lungs_hidden"]["auc"]["macro_auc"]["value"] if "lungs_hidden" in tested else None


def _notes(found: Mapping[str, Any]) -> Iterator[str]:
    if not found["models"].get("active"):
        yield "No model was active: the candidate was judged on its own."
    if found["new_findings"]:
        more = ", ".join(map(finding_in_text, found["new_findings"]))
        yield f"The candidate also classifies {more}, which could not be compared."
    if lungs_hidden(found, "candidate") is None:
        yield "The shortcut test was not possible: the model has no lung segmenter, or no lungs were found."
    small = sorted(
        f"{GROUPS[by]} {group}"
        for by, groups in found["groups"].items()
        for group, values in groups.items()
        if values["too_few"]
    )
    if small:
        yield f"Subgroups with too few cases to judge: {', '.join(small)}."


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _n(interval: Mapping[str, float | None]) -> str:
    return "unknown" if interval["value"] is None else f"{interval['value']:.2f}"


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.2f}"
