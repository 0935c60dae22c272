"""The life of a comparison, and the policy by which the gate judges it."""

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
from webapp.core.jobs.table import job_failed
from webapp.registry.models import Comparison, ComparisonStatus, ModelStatus, ModelVersion, PromotionPolicy
from webapp.registry.promotion_gate import PolicyRules, evaluate_gate
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
    """Queue the comparison of a candidate with the model that is active now on a frozen test part.

    `manifest_name` is a stored manifest with its own split. One that waits already is answered instead.
    Raises CodedError `conflict` for what is no candidate.
    """
    if candidate.status != ModelStatus.CANDIDATE:
        raise CodedError("conflict", "Only a candidate is compared.", status=409)
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
    """Judge what was found by the policy in force and keep both; False when the attempt lost its lease."""
    number, policy = current_policy()
    verdict = evaluate_gate(policy, report)
    found = dict(report)
    changes = found.pop("changes")
    found["changed"] = len(changes)
    mine = comparison.finish(
        ComparisonStatus.DONE,
        policy_number=number,
        policy=policy.as_dict(),
        report=found,
        changes=changes[:KEPT_CHANGES],
        passed=verdict.passed,
        reasons=list(verdict.reasons),
        notes=list(verdict.notes),
    )
    if mine:
        detail = {"candidate": str(comparison.candidate_id), "passed": verdict.passed, "policy": number}
        record(actor=None, site=comparison.site, action="comparison.done", subject=comparison, detail=detail)
    return mine


@receiver(job_failed, sender=Comparison)
def _record_failure(job: Comparison, **kwargs: Any) -> None:
    detail = {"code": job.error_code, "candidate": str(job.candidate_id)}
    record(actor=None, site=job.site, action="comparison.failed", subject=job, detail=detail)


def policy_set(*, rules: Mapping[str, Any], by: User, reason: str) -> PromotionPolicy:
    """Write the next version of the gate's policy; earlier verdicts keep theirs.

    Rules that are left out keep the value that is in force. Raises CodedError `forbidden`, `reason_missing`,
    `invalid` with the rules that will not do, `conflict`.
    """
    if not can_everywhere(by, "promotion_policy.edit"):
        raise CodedError(
            "forbidden", "The gate stands for every site, and you may not edit it at each of them."
        )
    if not reason.strip():
        raise CodedError("reason_missing")
    number, policy = current_policy()
    try:
        rules = PolicyRules.of({**policy.as_dict(), **rules}).as_dict()
    except ValueError as error:
        wrong = {name: [said] for name, said in error.args[0].items()}
        raise CodedError("invalid", fields=wrong) from error
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
