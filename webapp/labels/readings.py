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
from webapp.labels.models import MAX_COMMENT_LENGTH, Reading, ReadingDraft, ReadScan
from webapp.labels.selectors import ALONE, OTHER, analyses_of, offered, own_reading
from webapp.labels.signals import reading_signed
from webapp.scans.models import Scan, Study


@transaction.atomic
def reading_sign(
    *,
    study: Study,
    actor: User,
    findings: Sequence[str],
    comment: str = "",
    comparison: str = "",
    after: uuid.UUID | None = None,
) -> Reading:
    """Sign a statement on the study; it supersedes the actor's own earlier one, which `after` has to name.

    So a repeated or outdated form signs nothing; the actor's draft is removed. Raises CodedError `forbidden`,
    `conflict`, and those of `check_findings` and `plain_text`.
    """
    demand(actor, Permission.SCAN_LABEL, study.site)
    # Signing twice at once waits here.
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    scans = list(Scan.objects.filter(series__study=study).order_by("received_at", "pk"))
    if not scans:
        raise CodedError("conflict")
    analyses = list(analyses_of(study))
    comment, comparison = plain_text(comment), plain_text(comparison)
    check_findings(findings, comment, offered(analyses))
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
        comparison=comparison,
        evidence=[_seen(scan, [a for a in analyses if a.scan_id == scan.pk]) for scan in scans],
        supersedes=earlier,
        created_at=timezone.now(),
    )
    reading.sha256 = seal(reading)
    reading.save(force_insert=True)
    ReadScan.objects.bulk_create(ReadScan(reading=reading, scan=scan) for scan in scans)
    detail = {"study": str(study.pk), "supersedes": str(earlier.pk) if earlier else None}
    record(actor=actor, site=study.site, action="reading.signed", subject=reading, detail=detail)
    ReadingDraft.objects.filter(study=study, reader=actor).delete()
    summaries.refresh_studies([study.pk])
    reading_signed.send(Reading, reading=reading)
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
        "comparison": reading.comparison,
        "evidence": reading.evidence,
        "supersedes": reading.supersedes.sha256 if reading.supersedes else None,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def plain_text(text: str) -> str:
    """The text with its ends trimmed and unified line breaks; raises CodedError `text_invalid`."""
    text = text.replace("\r\n", "\n").strip()
    if "\x00" in text:
        raise CodedError("text_invalid", remedy="Remove the NUL characters.")
    if len(text) > MAX_COMMENT_LENGTH:
        raise CodedError(
            "text_invalid",
            f"The text has {len(text)} characters; at most {MAX_COMMENT_LENGTH} are allowed.",
        )
    return text


def check_findings(findings: Sequence[str], comment: str, may_be: Sequence[str]) -> None:
    """Raises CodedError `finding_missing`, `findings_contradict`, `description_missing`, `invalid`."""
    chosen = set(findings)
    if unknown := chosen - set(may_be):
        raise CodedError(
            "invalid",
            f"“{sorted(unknown)[0][:64]}” is not a finding of this study's models.",
            f"Choose from: {', '.join(may_be)}.",
        )
    if not chosen:
        raise CodedError("finding_missing")
    if len(chosen) > 1 and chosen & set(ALONE):
        raise CodedError("findings_contradict")
    if OTHER in chosen and not comment:
        raise CodedError("description_missing")


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
