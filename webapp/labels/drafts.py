"""Drafts of readings: what a reader has entered for a study waits for them until they sign."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from webapp.accounts.models import User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.core.errors import CodedError
from webapp.labels.models import MAX_COMMENT_LENGTH, ReadingDraft
from webapp.labels.selectors import analyses_of, offered
from webapp.scans.models import Study


def draft_of(study: Study, reader: User) -> ReadingDraft | None:
    return ReadingDraft.objects.filter(study=study, reader=reader).first()


def draft_save(
    *, study: Study, actor: User, findings: Sequence[str], comment: str = "", comparison: str = ""
) -> ReadingDraft | None:
    """Keep what the actor has entered, contradictions included; nothing entered removes the draft.

    Raises CodedError `forbidden`, `invalid` for findings that are not offered, `text_invalid`.
    """
    demand(actor, Permission.SCAN_LABEL, study.site)
    if unknown := set(findings) - set(offered(analyses_of(study))):
        raise CodedError("invalid", f"“{sorted(unknown)[0][:64]}” is not a finding of this study's models.")
    for text in (comment, comparison):
        if len(text) > MAX_COMMENT_LENGTH or "\x00" in text:
            raise CodedError("text_invalid", remedy=f"Enter at most {MAX_COMMENT_LENGTH} characters.")
    if not (findings or comment or comparison):
        ReadingDraft.objects.filter(study=study, reader=actor).delete()
        return None
    values = {"findings": list(findings), "comment": comment, "comparison": comparison}
    draft, _ = ReadingDraft.objects.update_or_create(
        study=study, reader=actor, defaults=values | {"saved_at": timezone.now()}
    )
    return draft
