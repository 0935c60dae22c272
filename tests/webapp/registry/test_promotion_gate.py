"""Between a candidate and its promotion stands the gate; past it leads only a promotion."""

from __future__ import annotations

import ast

import pytest
from django.db import DatabaseError, transaction

from tests import factories
from tests.architecture.source import files, module_name, tree
from tests.webapp.registry.test_promotion_rules import measures, sides
from webapp.accounts.models import Role
from webapp.accounts.services import membership_set
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.registry.comparisons import comparison_done, comparison_request, policy_set
from webapp.registry.models import Comparison, ModelVersion, Promotion
from webapp.registry.promotion_gate import PolicyRules
from webapp.registry.selectors import PromotionStatus, current_policy, promotion_status
from webapp.registry.services import model_promote, model_register, model_rollback, shadow_set

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(person, site):
    return person("admin", role="admin", site=site)


@pytest.fixture
def versions(admin, tmp_path):
    """The active model and a candidate."""
    first, second = (model_register(factories.artifact(tmp_path / f"{n}", seed=n)) for n in (1, 2))
    model_promote(model_version=first, by=admin, reason="the first")
    return first, second


def report(**changes) -> dict:
    found = {
        "cases": 120, "models": {"candidate": {}, "active": {}}, "lost_findings": [], "new_findings": [],
        "no_result": {"candidate": 0, "active": 0}, "all": measures(sides(0.82, 0.8)),
        "coverage": {"candidate": 1.0, "active": 1.0}, "calibration_by_chance": 0.05,
        "groups": {"source": {}, "view": {}, "sex": {}, "age": {}}, "shortcuts": {},
        "changes": [{"image": "x.png"}],
    }  # fmt: skip
    return found | changes


def judged(candidate: ModelVersion, **changes) -> Comparison:
    comparison_request(candidate=candidate, manifest_name="x", fingerprint="f", site=None)
    row = next(iter(Comparison.objects.claim()), None)
    assert comparison_done(comparison=row, report=report(**changes))
    row.refresh_from_db()
    return row


WORSE = {"all": measures(sides(0.6, 0.8))}


def code_of(call, *args, **kwargs) -> str:
    with pytest.raises(CodedError) as caught:
        call(*args, **kwargs)
    return caught.value.code


def test_a_candidate_that_was_not_judged_or_was_refused_is_not_promoted(versions, admin):
    active, candidate = versions
    assert promotion_status(candidate, active) == (PromotionStatus.UNJUDGED, None)
    assert code_of(model_promote, model_version=candidate, by=admin, reason="mine") == "promotion_gate_failed"
    row = judged(candidate, **WORSE)
    assert (row.passed, row.status) == (False, "done")
    with pytest.raises(CodedError, match=r"Macro AUC 0\.60 vs 0\.80") as caught:
        model_promote(model_version=candidate, by=admin, reason="mine")
    assert caught.value.code == "promotion_gate_failed"
    assert Promotion.objects.count() == 1


def test_one_that_passed_is_and_the_promotion_names_the_comparison(versions, admin):
    row = judged(versions[1])
    promotion = model_promote(model_version=versions[1], by=admin, reason="better")
    assert (promotion.comparison, promotion.overridden) == (row, False)


def test_a_verdict_is_of_the_model_that_was_active_then(versions, admin, tmp_path):
    candidate = versions[1]
    assert judged(candidate).passed
    third = model_register(factories.artifact(tmp_path / "3", seed=3))
    model_promote(model_version=third, by=admin, reason="meanwhile", override=True)
    assert promotion_status(candidate, third)[0] == PromotionStatus.UNJUDGED
    assert code_of(model_promote, model_version=candidate, by=admin, reason="mine") == "promotion_gate_failed"


def test_one_with_too_few_cases_is_unjudged_and_promoted_by_an_override_only(versions, admin):
    active, candidate = versions
    few = measures(sides(0.82, 0.8))
    few["findings"]["normal"]["present"] = 8
    row = judged(candidate, all=few)
    assert (row.status, row.passed, row.outcome) == ("done", None, "unjudged")
    assert promotion_status(candidate, active) == (PromotionStatus.UNJUDGED, row)
    with pytest.raises(CodedError, match="could not judge the candidate: Only 8 test cases"):
        model_promote(model_version=candidate, by=admin, reason="mine")
    promotion = model_promote(model_version=candidate, by=admin, reason="mine", override=True)
    assert (promotion.overridden, promotion.comparison) == (True, row)


def test_the_latest_verdict_counts(versions, admin):
    active, candidate = versions
    judged(candidate)
    judged(candidate, **WORSE)
    assert promotion_status(candidate, active)[0] == PromotionStatus.FAILED


def test_a_verdict_is_of_the_policy_that_was_active_then(versions, admin):
    active, candidate = versions
    assert judged(candidate).passed
    policy_set(rules={"group_floor": 0.6}, by=admin, reason="stricter")
    assert promotion_status(candidate, active)[0] == PromotionStatus.UNJUDGED
    assert code_of(model_promote, model_version=candidate, by=admin, reason="mine") == "promotion_gate_failed"
    assert judged(candidate).passed
    assert model_promote(model_version=candidate, by=admin, reason="mine").overridden is False


def test_only_who_may_override_decides_against_the_promotion_gate_and_the_trace_states_so(versions, admin):
    row = judged(versions[1], **WORSE)
    override = {"model_version": versions[1], "by": admin, "override": True}
    assert code_of(model_promote, reason=" ", **override) == "reason_missing"
    role = Role.objects.get(name="admin")
    role.permissions = [one for one in role.permissions if one != "model.override"]
    role.save()
    assert code_of(model_promote, reason="I know better", **override) == "promotion_gate_failed"
    role.permissions.append("model.override")
    role.save()
    promotion = model_promote(reason="the other hospital needs it", **override)
    assert (promotion.overridden, promotion.comparison) == (True, row)
    event = AuditEvent.objects.filter(action="model.promoted").latest("created_at")
    assert event.detail["overridden"] is True
    assert event.detail["comparison"] == str(row.pk)


def test_a_rollback_takes_one_step_and_needs_no_promotion_gate(versions, admin, owner):
    active, candidate = versions
    model_promote(model_version=candidate, by=admin, reason="try", override=True)
    assert code_of(model_rollback, slot="cxr", by=owner) == "forbidden"
    promotion = model_rollback(slot="cxr", by=admin)
    assert (promotion.model_version, promotion.previous) == (active, candidate)
    assert promotion.reason == f"Rolled back from {candidate}."
    assert code_of(model_rollback, slot="ct", by=admin) == "conflict"


def test_a_comparison_is_asked_for_once_and_keeps_the_policy_that_judged_it(versions, admin):
    candidate = versions[1]
    ask = {"candidate": candidate, "manifest_name": "x", "fingerprint": "f", "site": None}
    assert comparison_request(**ask) == comparison_request(**ask)
    policy_set(rules={"macro_auc_margin": 0.4, "min_cases": 3}, by=admin, reason="few cases here")
    row = next(iter(Comparison.objects.claim()), None)
    comparison_done(comparison=row, report=report(all=measures(sides(0.75, 0.8, 0.2))))
    row.refresh_from_db()
    assert (row.policy_number, row.policy["macro_auc_margin"], row.passed) == (1, 0.4, True)
    assert (row.changes, row.report["changed"]) == ([{"image": "x.png"}], 1)
    assert "changes" not in row.report
    policy_set(rules={"macro_auc_margin": 0.0}, by=admin, reason="stricter")
    row.refresh_from_db()
    assert (row.policy_number, current_policy()[0]) == (1, 2)
    assert current_policy()[1] == PolicyRules.of({"min_cases": 3, "macro_auc_margin": 0.0})
    assert {e.action for e in AuditEvent.objects.all()} >= {"comparison.done", "promotion_policy.changed"}


def test_a_comparison_whose_worker_is_lost_is_taken_up_again(versions):
    comparison_request(candidate=versions[1], manifest_name="x", fingerprint="f", site=None)
    first = next(iter(Comparison.objects.claim()), None)
    assert next(iter(Comparison.objects.claim()), None) is None
    Comparison.objects.update(lease_expires_at=first.created_at)
    second = next(iter(Comparison.objects.claim()), None)
    assert (second.pk, second.attempts) == (first.pk, 2)
    assert not comparison_done(comparison=first, report=report())
    assert second.fail("x")


def test_only_who_may_edit_the_promotion_gate_everywhere_does_with_a_reason_and_within_bounds(
    admin, owner, other_site
):
    assert code_of(policy_set, rules={}, by=owner, reason="x") == "forbidden"
    assert code_of(policy_set, rules={}, by=admin, reason="x") == "forbidden", "there is a second site"
    membership_set(user=admin, site=other_site, role=Role.objects.get(name="admin"))
    assert code_of(policy_set, rules={}, by=admin, reason=" ") == "reason_missing"
    with pytest.raises(CodedError) as caught:
        policy_set(rules={"min_cases": 0, "gout": 1}, by=admin, reason="x")
    assert set(caught.value.fields) == {"min_cases", "gout"}


def test_a_shadow_is_a_candidates_and_ends_with_its_promotion(versions, admin, owner):
    active, candidate = versions
    assert code_of(shadow_set, model_version=candidate, on=True, by=owner) == "forbidden"
    assert code_of(shadow_set, model_version=active, on=True, by=admin) == "conflict"
    assert shadow_set(model_version=candidate, on=True, by=admin).shadow is True
    model_promote(model_version=candidate, by=admin, reason="x", override=True)
    assert candidate.shadow is False
    events = AuditEvent.objects.filter(action__startswith="model.shadow")
    assert [event.action for event in events] == ["model.shadow_started"]


# --- Nothing but a promotion changes the active model -----------------------------------------------


@pytest.mark.parametrize(("which", "status"), [(0, "retired"), (0, "rejected"), (1, "active")])
def test_the_database_itself_refuses_any_other_way(versions, which, status):
    for change in (
        lambda: ModelVersion.objects.filter(pk=versions[which].pk).update(status=status),
        lambda: ModelVersion.objects.bulk_update([with_status(versions[which], status)], ["status"]),
    ):
        with pytest.raises(DatabaseError, match="by a promotion alone"), transaction.atomic():
            change()
    versions[0].refresh_from_db()
    assert versions[0].status == "active"


def with_status(version: ModelVersion, status: str) -> ModelVersion:
    copy = ModelVersion.objects.get(pk=version.pk)
    copy.status = status
    return copy


def test_a_promotion_of_the_past_opens_no_endpoint(versions, admin):
    active, candidate = versions
    model_promote(model_version=candidate, by=admin, reason="x", override=True)
    model_rollback(slot="cxr", by=admin)
    with pytest.raises(DatabaseError, match="by a promotion alone"), transaction.atomic():
        ModelVersion.objects.filter(pk=active.pk).update(status="retired")


def test_the_code_makes_a_model_active_in_one_place():
    """`ModelStatus.ACTIVE` and "active" are written to a model, and promotions made, in `_activate` alone."""
    found = set()
    for path in files("webapp", "worker"):
        for function in ast.walk(tree(path)):
            is_function = isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_function and any(writes_active(node) for node in ast.walk(function)):
                found.add(f"{module_name(path)}.{function.name}")
    assert found == {"webapp.registry.services._activate"}


def writes_active(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        named = ast.unparse(node.value)
        return (
            any("status" in ast.unparse(target) for target in node.targets) and "ModelStatus.ACTIVE" in named
        )
    if not isinstance(node, ast.Call):
        return False
    made = ast.unparse(node.func)
    if made in ("Promotion", "Promotion.objects.create", "Promotion.objects.bulk_create"):
        return True
    writing = made.endswith((".update", ".create", ".bulk_create", ".update_or_create", ".get_or_create"))
    reported = {ast.unparse(one.value) for one in node.keywords if one.arg == "status"}
    return (writing or made == "ModelVersion") and bool(reported & {"ModelStatus.ACTIVE", "'active'"})
