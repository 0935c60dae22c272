"""Comparisons of a candidate with the active model, and the policy that the promotion gate applies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.dispatch import receiver

from webapp.accounts.models import Site, User
from webapp.accounts.services import can_everywhere
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.core.jobs.table import JobStatus, job_failed
from webapp.registry.models import Comparison, ModelStatus, ModelVersion, PromotionPolicy
from webapp.registry.promotion_gate import Outcome, PolicyRules, evaluate_promotion_gate
from webapp.registry.selectors import current_policy

KEPT_CHANGES = 2000


@transaction.atomic
def comparison_request(
    *,
    candidate: ModelVersion,
    manifest_name: str,
    fingerprint: str,
    site: Site | None,
    by: User | None = None,
) -> Comparison:
    """Queue the comparison of a candidate with the active model on a fixed test set.

    `manifest_name` is a stored manifest with its own split. Returns the same comparison if it is queued
    already. Raises CodedError `conflict` unless the version is a candidate.
    """
    if candidate.status != ModelStatus.CANDIDATE:
        raise CodedError(
            "conflict", f"{candidate} is {candidate.status}; only a candidate can be compared.", status=409
        )
    active = ModelVersion.objects.filter(slot=candidate.slot, status=ModelStatus.ACTIVE).first()
    same = {"candidate": candidate, "active": active, "fingerprint": fingerprint}
    waiting = Comparison.objects.filter(**same, status__in=("queued", "running")).first()
    if waiting:
        return waiting
    row = Comparison.objects.create(**same, manifest_name=manifest_name, site=site, requested_by=by)
    detail = {"candidate": str(candidate.pk), "active": str(active.pk) if active else None}
    record(actor=by, site=site, action="comparison.requested", subject=row, detail=detail)
    notify_workers(Queue.TRAIN)
    return row


@transaction.atomic
def comparison_done(*, comparison: Comparison, report: Mapping[str, Any]) -> bool:
    """Store the report and the outcome under the current policy; False if the lease was lost."""
    number, policy = current_policy()
    result = evaluate_promotion_gate(policy, report)
    stored = dict(report)
    changes = stored.pop("changes")
    stored["changed"] = len(changes)
    passed = {Outcome.PASSED: True, Outcome.FAILED: False, Outcome.UNJUDGED: None}[result.outcome]
    mine = comparison.finish(
        JobStatus.DONE,
        policy_number=number,
        policy=policy.as_dict(),
        report=stored,
        changes=changes[:KEPT_CHANGES],
        passed=passed,
        reasons=list(result.reasons),
        notes=list(result.notes),
    )
    if mine:
        detail = {"candidate": str(comparison.candidate_id), "outcome": result.outcome, "policy": number}
        record(actor=None, site=comparison.site, action="comparison.done", subject=comparison, detail=detail)
    return mine


@receiver(job_failed, sender=Comparison)
def _record_failure(job: Comparison, **kwargs: Any) -> None:
    detail = {"code": job.error_code, "candidate": str(job.candidate_id)}
    record(actor=None, site=job.site, action="comparison.failed", subject=job, detail=detail)


def policy_set(*, rules: Mapping[str, Any], by: User, reason: str) -> PromotionPolicy:
    """Write the next version of the policy; earlier comparisons keep theirs.

    Rules that are left out keep their current value. Raises CodedError `forbidden`, `reason_missing`,
    `invalid` with the rules, `conflict`.
    """
    if not can_everywhere(by, "promotion_policy.edit"):
        raise CodedError(
            "forbidden",
            "The promotion policy applies to all sites; editing it requires the permission at each.",
        )
    if not reason.strip():
        raise CodedError("reason_missing")
    number, policy = current_policy()
    try:
        rules = PolicyRules.of({**policy.as_dict(), **rules}).as_dict()
    except ValueError as error:
        invalid = {name: [reason] for name, reason in error.args[0].items()}
        raise CodedError("invalid", fields=invalid) from error
    try:
        return _write(number + 1, rules, policy, by=by, reason=reason.strip()[:500])
    except IntegrityError as error:
        raise CodedError("conflict") from error


@transaction.atomic
def _write(
    number: int, rules: dict[str, Any], before: PolicyRules, *, by: User, reason: str
) -> PromotionPolicy:
    row = PromotionPolicy.objects.create(number=number, rules=rules, by=by, reason=reason)
    changed = {name: value for name, value in rules.items() if value != before.as_dict()[name]}
    detail = {"number": number, "changed": changed}
    record(actor=by, site=None, action="promotion_policy.changed", subject=row, detail=detail)
    return row
