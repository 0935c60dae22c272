"""Signing readings; a correction is another reading that supersedes the earlier one."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from webapp.accounts.models import User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.analysis.state import current_analysis
from webapp.analysis.worklist import summaries
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.labels.models import MAX_COMMENT_LENGTH, Reading, ReadScan
from webapp.labels.selectors import ALONE, OTHER, analyses_of, offered, own_reading
from webapp.scans.models import Scan, Study


@transaction.atomic
def reading_sign(
    *, study: Study, actor: User, findings: Sequence[str], comment: str = "", after: uuid.UUID | None = None
) -> Reading:
    """Sign a statement on the study; it supersedes the actor's own earlier one, which `after` has to name.

    So a repeated or outdated form signs nothing. Raises CodedError `forbidden`, `invalid` for findings that
    are not offered or contradict each other, `conflict`.
    """
    demand(actor, Permission.SCAN_LABEL, study.site)
    # Signing twice at once waits here.
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    scans = list(Scan.objects.filter(series__study=study).order_by("received_at", "pk"))
    if not scans:
        raise CodedError("conflict")
    analyses = list(analyses_of(study))
    comment = comment.replace("\r\n", "\n").strip()
    _check(findings, comment, offered(analyses))
    earlier = own_reading(study, actor)
    if (earlier.pk if earlier else None) != after:
        raise CodedError("conflict", "You have signed another reading of this study meanwhile.")
    reading = Reading(
        site=study.site,
        study=study,
        reader=actor,
        signed_as=actor.get_full_name() or actor.get_username(),
        findings=sorted(set(findings)),
        comment=comment,
        evidence=[_seen(scan, [a for a in analyses if a.scan_id == scan.pk]) for scan in scans],
        supersedes=earlier,
        created_at=timezone.now(),
    )
    reading.sha256 = seal(reading)
    reading.save(force_insert=True)
    ReadScan.objects.bulk_create(ReadScan(reading=reading, scan=scan) for scan in scans)
    detail = {"study": str(study.pk), "supersedes": str(earlier.pk) if earlier else None}
    record(actor=actor, site=study.site, action="reading.signed", subject=reading, detail=detail)
    summaries.refresh_studies([study.pk])
    return reading


def seal(reading: Reading) -> str:
    """SHA-256 of all that the reading states and of the seal of the one that it supersedes."""
    content = {
        "id": str(reading.pk),
        "site": str(reading.site_id),
        "study": str(reading.study_id),
        "reader": str(reading.reader_id),
        "signed_as": reading.signed_as,
        "signed_at": reading.created_at.isoformat(timespec="microseconds"),
        "findings": reading.findings,
        "comment": reading.comment,
        "evidence": reading.evidence,
        "supersedes": reading.supersedes.sha256 if reading.supersedes else None,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _check(findings: Sequence[str], comment: str, may_be: Sequence[str]) -> None:
    chosen = set(findings)
    if not chosen or chosen - set(may_be):
        raise CodedError("invalid", "A reading states a finding.", "Choose one or several of those offered.")
    if len(chosen) > 1 and chosen & set(ALONE):
        raise CodedError(
            "invalid", "These findings contradict each other.", "Choose normal or inconclusive alone."
        )
    if OTHER in chosen and not comment:
        raise CodedError("invalid", "The other finding is not described.", "Describe it in the comment.")
    if len(comment) > MAX_COMMENT_LENGTH or "\x00" in comment:
        raise CodedError("invalid", f"A comment has at most {MAX_COMMENT_LENGTH} characters.", "Shorten it.")


def _seen(scan: Scan, analyses: Sequence[Any]) -> dict[str, Any]:
    """The scan's result when it was read."""
    analysis = current_analysis(analyses)
    seen = {"scan": str(scan.pk), "pixel_sha256": scan.pixel_sha256, "analysis": None}
    if analysis is None:
        return seen
    version = analysis.model_version
    return seen | {
        "analysis": str(analysis.pk),
        "status": analysis.status,
        "model": str(version),
        "model_sha256": version.sha256,
        "calibration": analysis.calibration_name,
        "finding": analysis.finding,
        "abstention": analysis.abstention,
        "probabilities": analysis.probabilities,
    }
