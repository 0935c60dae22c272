"""The gate as a pure function: what passes, and in which words the rest does not."""

from __future__ import annotations

from copy import deepcopy

import pytest

from webapp.registry.promotion_gate import PolicyRules, evaluate_promotion_gate, recommended_cases

ENOUGH = {"present": 40, "absent": 40}


def interval(value: float, spread: float = 0.01) -> dict:
    return {"value": value, "low": value - spread, "high": value + spread}


def sides(candidate: float, active: float, spread: float = 0.01) -> dict:
    gap = interval(candidate - active, spread)
    return {"candidate": interval(candidate), "active": interval(active), "difference": gap}


def measures(macro: dict) -> dict:
    finding = {name: sides(0.8, 0.8) for name in ("auc", "sensitivity", "specificity", "brier")}
    return {
        "overall": {"macro_auc": macro, "calibration_error": sides(0.04, 0.05)},
        "findings": {name: {"present": 60, **deepcopy(finding)} for name in ("normal", "pneumonia")},
    }


@pytest.fixture
def found() -> dict:
    """A comparison that passes with the policy as it comes."""
    group = {"cases": 60, "too_few": False, "findings": {"pneumonia": ENOUGH | {"auc": sides(0.8, 0.8)}}}
    hidden = lambda value: {"lungs_hidden": {"auc": {"macro_auc": interval(value)}}}  # noqa: E731
    return {
        "cases": 120,
        "models": {"candidate": {"name": "new"}, "active": {"name": "old"}},
        "findings": ["normal", "pneumonia"],
        "lost_findings": [],
        "new_findings": [],
        "no_result": {"candidate": 0, "active": 0},
        "all": measures(sides(0.82, 0.80)),
        "not_withheld": measures(sides(0.82, 0.80)),
        "coverage": {"candidate": 0.97, "active": 0.98},
        "calibration_by_chance": 0.05,
        "groups": {"source": {"north": group}, "view": {}, "sex": {}, "age": {}},
        "shortcuts": {"candidate": hidden(0.6), "active": hidden(0.6)},
    }


def reasons(found: dict, **rules: float) -> tuple[str, ...]:
    return evaluate_promotion_gate(PolicyRules.of(rules), found).reasons


def test_a_better_candidate_passes(found):
    verdict = evaluate_promotion_gate(PolicyRules(), found)
    assert verdict.outcome == "passed"
    assert verdict.notes == ()


def test_a_little_worse_is_not_inferior_as_long_as_the_interval_excludes_the_margin(found):
    found["all"]["overall"]["macro_auc"] = sides(0.79, 0.80, spread=0.01)
    assert not reasons(found)
    found["all"]["overall"]["macro_auc"] = sides(0.79, 0.80, spread=0.04)
    [reason] = reasons(found)
    assert reason == (
        "Macro AUC 0.79 vs 0.80: the difference of -0.01 (-0.05 to +0.03) does not rule out that the "
        "candidate is worse by more than 0.03."
    )
    assert not reasons(found, macro_auc_margin=0.06)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("auc", 0.74, "Pneumonia: AUC 0.74 vs 0.80, worse by 0.06; the policy allows 0.05."),
        ("sensitivity", 0.6, "Pneumonia: sensitivity 0.60 vs 0.80, worse by 0.20"),
        ("specificity", 0.6, "Pneumonia: specificity 0.60 vs 0.80, worse by 0.20"),
    ],
)
def test_a_gain_on_the_whole_excuses_no_loss_on_one_finding(found, name, value, words):
    found["all"]["findings"]["pneumonia"][name] = sides(value, 0.8)
    [reason] = reasons(found)
    assert reason.startswith(words)


def test_a_decision_that_chance_explains_is_not_held_against_it(found):
    found["all"]["findings"]["pneumonia"]["sensitivity"] = sides(0.65, 0.8, spread=0.2)
    assert not reasons(found)


def test_another_operating_point_is_noted_and_held_against_it_only_where_it_is_no_better(found):
    values = found["all"]["findings"]["pneumonia"]
    values["sensitivity"], values["specificity"] = sides(0.5, 0.8), sides(0.6, 0.1)
    verdict = evaluate_promotion_gate(PolicyRules(), found)
    assert verdict.outcome == "passed"
    assert verdict.notes[0] == (
        "Pneumonia has a different operating point: sensitivity 0.50 vs 0.80, specificity 0.60 vs 0.10."
    )
    values["specificity"] = sides(0.6, 0.35)
    assert reasons(found)[0].startswith("Pneumonia: sensitivity 0.50 vs 0.80, worse by 0.30")
    values["specificity"] = sides(0.6, 0.1, spread=0.6)
    assert reasons(found), "a gain that chance may have brought compensates nothing"


def test_abstaining_improves_nothing(found):
    """What was processed looks splendid; all cases and the coverage decide."""
    found["all"]["overall"]["macro_auc"] = sides(0.70, 0.80)
    found["not_withheld"]["overall"]["macro_auc"] = sides(0.99, 0.80)
    found["coverage"]["candidate"] = 0.5
    text = reasons(found)
    assert len(text) == 2
    assert text[1].startswith("The candidate has a result for 50 % of the cases, the active model for 98 %;")


def test_a_calibration_error_counts_as_far_as_chance_does_not_explain_it(found):
    found["all"]["overall"]["calibration_error"] = sides(0.14, 0.05)
    [reason] = reasons(found)
    assert "0.14 is above the limit of 0.10" in reason
    found["calibration_by_chance"] = 0.15
    assert not reasons(found)


def test_with_too_few_cases_of_a_finding_the_candidate_is_unjudged(found):
    found["all"]["findings"]["normal"]["present"] = 7
    result = evaluate_promotion_gate(PolicyRules(), found)
    assert result.reasons == ("Only 7 test cases with normal; the policy requires 20.",)
    assert result.outcome == "unjudged"
    assert not reasons(found, min_cases=7)
    found["all"]["overall"]["macro_auc"] = sides(0.5, 0.8)
    assert evaluate_promotion_gate(PolicyRules(), found).outcome == "unjudged", "so few cases prove nothing"


def test_excluded_cases_and_unrecorded_training_data_are_noted(found):
    found["excluded"] = {"cases": 12, "candidate": 12, "active": 3, "remaining": 60, "unrecorded": []}
    assert evaluate_promotion_gate(PolicyRules(), found).notes == (
        "12 of 132 test cases were excluded: used in training or validation (12 by the candidate, 3 by the "
        "active model).",
    )
    found["excluded"] = {"cases": 0, "candidate": 0, "active": 0, "remaining": 60, "unrecorded": ["active"]}
    [note] = evaluate_promotion_gate(PolicyRules(), found).notes
    assert note.startswith("The active model does not record its training data")


def test_without_a_case_left_nothing_is_judged():
    excluded = {"cases": 24, "candidate": 24, "remaining": 0, "unrecorded": []}
    report = {"cases": 0, "all": {"findings": {}}, "excluded": excluded}
    result = evaluate_promotion_gate(PolicyRules(), report)
    assert (result.outcome, len(result.reasons), len(result.notes)) == ("unjudged", 1, 1)


def test_the_cases_that_are_needed_can_be_reported_before_a_run():
    assert recommended_cases(PolicyRules(), 2) > recommended_cases(PolicyRules(), 4) >= 20
    assert recommended_cases(PolicyRules(macro_auc_margin=0.5), 2) == 20
    assert recommended_cases(PolicyRules(macro_auc_margin=0.0), 2) == 20


def test_a_subgroup_may_neither_fall_behind_nor_lie_below_the_floor(found):
    group = found["groups"]["source"]["north"]["findings"]["pneumonia"]
    group["auc"] = sides(0.65, 0.80)
    [reason] = reasons(found)
    assert reason.startswith("In source north, pneumonia has an AUC of 0.65 vs 0.80, worse by 0.15")
    group["auc"] = sides(0.45, 0.45)
    [reason] = reasons(found)
    assert reason == "In source north, pneumonia has an AUC of 0.45, below the floor of 0.50."
    assert not reasons(found, group_min_cases=41)
    group["auc"] = None
    assert not reasons(found)


def test_a_model_that_needs_no_lungs_is_refused(found):
    macro = found["shortcuts"]["candidate"]["lungs_hidden"]["auc"]
    macro["macro_auc"] = interval(0.72)
    assert "the active model 0.60" in reasons(found)[0]
    macro["macro_auc"] = interval(0.85)
    assert "it uses information outside the lungs" in reasons(found)[0]
    found["shortcuts"] = {"candidate": None, "active": None}
    verdict = evaluate_promotion_gate(PolicyRules(), found)
    assert verdict.outcome == "passed"
    assert "shortcut test was not possible" in verdict.notes[0]


def test_a_finding_that_is_lost_or_an_image_without_an_result_speaks_against_it(found):
    found["lost_findings"] = ["covid19"]
    found["no_result"]["candidate"] = 3
    first, second = reasons(found)
    assert "no prediction for 3 images" in first
    assert second == "The candidate does not classify COVID-19, which the active model reports."


def test_where_nothing_was_active_the_candidate_has_to_be_better_than_chance(found):
    alone = {"candidate": interval(0.7), "active": None, "difference": None}
    found["models"]["active"] = None
    for part in ("all",):
        found[part]["overall"]["macro_auc"] = alone
        for values in found[part]["findings"].values():
            values.update({name: alone for name in ("auc", "sensitivity", "specificity")})
    found["coverage"] = {"candidate": 0.9}
    found["no_result"] = {"candidate": 0}
    found["groups"]["source"]["north"]["findings"]["pneumonia"]["auc"] = alone
    found["shortcuts"] = {"candidate": None}
    verdict = evaluate_promotion_gate(PolicyRules(), found)
    assert verdict.outcome == "passed"
    assert "No model was active" in verdict.notes[0]
    found["all"]["overall"]["macro_auc"] = {**alone, "candidate": interval(0.45)}
    assert reasons(found) == ("The candidate's macro AUC of 0.45 is no better than chance.",)


def test_groups_that_are_too_small_are_named(found):
    found["groups"]["sex"]["F"] = {"cases": 3, "too_few": True, "findings": {}}
    assert evaluate_promotion_gate(PolicyRules(), found).notes == (
        "Subgroups with too few cases to judge: sex F.",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("macro_auc_margin", -0.1),
        ("macro_auc_margin", "0.1"),
        ("min_cases", 2.5),
        ("min_cases", True),
        ("x", 1),
    ],
)
def test_a_rule_is_a_number_within_its_bounds(name, value):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the reasons stand in it by name
        PolicyRules.of({name: value})
    assert list(caught.value.args[0]) == [name]


def test_a_policy_survives_being_written_down():
    policy = PolicyRules.of({"min_cases": 5, "group_floor": 0.6})
    assert PolicyRules.of(policy.as_dict()) == policy
