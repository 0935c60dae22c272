"""The gate: a comparison and a written policy in, a verdict in sentences out. Pure: no database, no model.

It judges by all cases, never by the answered ones alone: a model that keeps silent where it is weak gains
nothing by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self
from uuid import UUID

from classifier.contract import FINDING_NAMES

SCAN_IN_PATH = re.compile(r"/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/")
DECISIONS = ("sensitivity", "specificity")
GROUPS = {"source": "source", "view": "view", "sex": "sex", "age": "age band"}


def rule(default: float, low: float, high: float, label: str, help_text: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "label": label, "help": help_text})


@dataclass(frozen=True)
class PolicyRules:
    """What a candidate has to keep to; `fields` carry each number's bounds and what it means."""

    macro_auc_margin: float = rule(
        0.03, 0, 0.5, "Margin of the macro AUC",
        "The candidate may be worse than the active model by less than this, with 97.5 % confidence.",
    )  # fmt: skip
    finding_auc_margin: float = rule(
        0.05, 0, 0.5, "Margin of each finding's AUC", "No finding may be ranked worse by more than this."
    )
    sensitivity_margin: float = rule(
        0.10, 0, 1, "Margin of each finding's sensitivity",
        "At their own thresholds, no finding may be missed more often by this, unless by chance.",
    )  # fmt: skip
    specificity_margin: float = rule(
        0.10, 0, 1, "Margin of each finding's specificity",
        "At their own thresholds, none may be reported wrongly more often, unless by chance.",
    )  # fmt: skip
    calibration_limit: float = rule(
        0.10, 0, 1, "Limit of the calibration error",
        "Mean over the findings (ECE); more is allowed only as far as chance explains it on so few cases.",
    )  # fmt: skip
    min_cases: int = rule(
        20, 1, 100_000, "Fewest cases of a finding", "In the test part; below it nothing can be judged."
    )
    coverage_margin: float = rule(
        0.05, 0, 1, "Margin of the coverage", "The share of cases answered may fall by no more than this."
    )
    group_min_cases: int = rule(
        20, 1, 100_000, "Fewest cases in a subgroup", "With and without a finding; below it none is judged."
    )
    group_margin: float = rule(
        0.10, 0, 0.5, "Margin in each subgroup",
        "By source, view, sex and age band no finding may be ranked worse by more than this.",
    )  # fmt: skip
    group_floor: float = rule(
        0.50, 0, 1, "Floor in each subgroup", "No finding's AUC may lie below this in any subgroup."
    )
    shortcut_limit: float = rule(
        0.80, 0.5, 1, "Limit of the shortcut test", "The macro AUC with the lungs hidden stays below this."
    )
    shortcut_margin: float = rule(
        0.10, 0, 0.5, "Margin of the shortcut test",
        "With the lungs hidden the candidate's macro AUC may exceed the active model's by no more than this.",
    )  # fmt: skip

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The policy of plain values; raises ValueError with `{name: reason}` for what is no such number."""
        wrong = {name: "There is no such rule." for name in values.keys() - {f.name for f in fields(cls)}}
        given = {}
        for one in fields(cls):
            value = values.get(one.name, one.default)
            low, high = one.metadata["low"], one.metadata["high"]
            whole = isinstance(one.default, int)
            fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
            if not (fits and low <= value <= high):
                kind = "whole number" if whole else "number"
                wrong[one.name] = f"A {kind} from {low:g} to {high:g} is needed."
            given[one.name] = value
        if wrong:
            raise ValueError(wrong)
        return cls(**given)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class GateResult:
    """`reasons` speak against the candidate: with one it does not pass. `notes` are worth knowing."""

    reasons: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.reasons


def evaluate_gate(policy: PolicyRules, comparison: Mapping[str, Any]) -> GateResult:
    """What the policy says of a comparison as `python -m classifier compare` writes it."""
    checks = (_data, _findings, _overall, _each_finding, _calibration, _coverage, _groups, _shortcuts)
    reasons = [reason for check in checks for reason in check(policy, comparison)]
    return GateResult(tuple(reasons), (*_moved(policy, comparison), *_notes(comparison)))


def _data(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    for finding, values in found["all"]["findings"].items():
        if values["present"] < policy.min_cases:
            yield (
                f"The test part has only {values['present']} cases with {_in(finding)}; "
                f"the policy wants {policy.min_cases} to judge by."
            )
    mine, others = found["no_result"]["candidate"], found["no_result"].get("active", 0)
    if mine > others:
        yield f"The candidate gave no answer at all on {mine} images, the active model on {others}."


def _findings(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    for finding in found["lost_findings"]:
        yield f"The candidate does not know {_in(finding)}, which the active model reports."


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
            f"Macro AUC {_n(macro['candidate'])} against {_n(macro['active'])}: the difference of "
            f"{_signed(gap['value'])} ({_signed(gap['low'])} to {_signed(gap['high'])}) does not exclude "
            f"that the candidate is worse by more than {margin:.2f}."
        )


def _each_finding(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    for finding, values in found["all"]["findings"].items():
        gap, margin = values["auc"]["difference"], policy.finding_auc_margin
        if gap and gap["value"] is not None and gap["value"] < -margin:
            yield _worse(finding, values, "AUC", margin)
        for name, margin in _fallen(policy, values):
            if not _made_good(values, name):
                yield _worse(finding, values, name, margin)


def _fallen(policy: PolicyRules, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Of sensitivity and specificity those that fell by more than the margin, and surely."""
    margins = {"sensitivity": policy.sensitivity_margin, "specificity": policy.specificity_margin}
    for name, margin in margins.items():
        gap = values[name]["difference"]
        known = gap and None not in (gap["value"], gap["high"])
        if known and gap["value"] < -margin and gap["high"] < 0:
            yield name, margin


def _made_good(values: Mapping[str, Any], fallen: str) -> bool:
    """Whether the other of the two rose by more, and surely: another operating point, and a better one."""
    other = {"sensitivity": "specificity", "specificity": "sensitivity"}[fallen]
    risen, lost = values[other]["difference"], values[fallen]["difference"]
    return bool(risen) and (risen["low"] or 0) > 0 and risen["value"] > -lost["value"]


def _moved(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    for finding, values in found["all"]["findings"].items():
        for name, _ in _fallen(policy, values):
            if _made_good(values, name):
                pairs = [
                    f"{one} {_n(values[one]['candidate'])} against {_n(values[one]['active'])}"
                    for one in DECISIONS
                ]
                yield f"{_begin(finding)} is decided at another point: {', '.join(pairs)}."


def _worse(finding: str, values: Mapping[str, Any], name: str, margin: float) -> str:
    sides = values[name.lower()]
    return (
        f"{_begin(finding)}: {name} {_n(sides['candidate'])} against {_n(sides['active'])}, "
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
            f"The candidate answers {ours:.0%} of the cases, the active model {theirs:.0%}; "
            f"the policy allows {policy.coverage_margin:.0%} less."
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
            f"In {group}, {_in(finding)} has an AUC of {value:.2f}, "
            f"below the floor of {policy.group_floor:.2f}."
        )
    elif gap and gap["value"] is not None and gap["value"] < -policy.group_margin:
        yield (
            f"In {group}, {_in(finding)} has an AUC of {value:.2f} against {_n(auc['active'])}, worse by "
            f"{-gap['value']:.2f}; the policy allows {policy.group_margin:.2f}."
        )


def _shortcuts(policy: PolicyRules, found: Mapping[str, Any]) -> Iterator[str]:
    hidden = {side: lungs_hidden(found, side) for side in ("candidate", "active")}
    ours, theirs = hidden["candidate"], hidden["active"]
    if ours is None:
        return
    if ours >= policy.shortcut_limit:
        yield (
            f"With the lungs hidden the candidate still reaches a macro AUC of {ours:.2f} (limit "
            f"{policy.shortcut_limit:.2f}): it decides by something else."
        )
    elif theirs is not None and ours > theirs + policy.shortcut_margin:
        yield (
            f"With the lungs hidden the candidate reaches a macro AUC of {ours:.2f}, the active model "
            f"{theirs:.2f}; the policy allows {policy.shortcut_margin:.2f} more."
        )


def scan_in(image: str) -> UUID | None:
    """The scan whose image a snapshot's manifest names so; None for an image of another manifest."""
    match = SCAN_IN_PATH.search(image)
    return UUID(match[1]) if match else None


def lungs_hidden(found: Mapping[str, Any], side: str) -> float | None:
    """The macro AUC of a side with the lungs hidden, None where the test could not be made."""
    tested = (found.get("shortcuts") or {}).get(side) or {}
    return tested["lungs_hidden"]["auc"]["macro_auc"]["value"] if "lungs_hidden" in tested else None


def _notes(found: Mapping[str, Any]) -> Iterator[str]:
    if not found["models"].get("active"):
        yield "No model was active: the candidate was judged by itself."
    if found["new_findings"]:
        more = ", ".join(map(_in, found["new_findings"]))
        yield f"The candidate also knows {more}, which could not be compared."
    if lungs_hidden(found, "candidate") is None:
        yield "The shortcut test could not be made: it carries no lung segmenter, or found no lungs."
    small = sorted(
        f"{GROUPS[by]} {group}"
        for by, groups in found["groups"].items()
        for group, values in groups.items()
        if values["too_few"]
    )
    if small:
        yield f"Too few cases to judge by: {', '.join(small)}."


def _in(finding: str) -> str:
    """A finding within a sentence."""
    return FINDING_NAMES.get(finding) or finding.replace("_", " ")


def _begin(finding: str) -> str:
    text = _in(finding)
    return text[:1].upper() + text[1:]


def _n(interval: Mapping[str, float | None]) -> str:
    return "unknown" if interval["value"] is None else f"{interval['value']:.2f}"


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.2f}"
