"""What readers do with studies before they are read: flag as urgent, assign, tag."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db import transaction

from webapp.accounts.models import Membership, Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import for_sites
from webapp.analysis.models import StudyTag, StudyTriage
from webapp.analysis.worklist import summaries
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.scans.models import Study

TAGS_A_STUDY = 10


@transaction.atomic
def studies_flag(*, user: User, studies: Iterable[uuid.UUID], urgent: bool | None) -> int:
    """Make the studies urgent, or not, or leave it to header and rule (None); returns how many there are."""
    found = _seen(user, studies)
    for study in found:
        StudyTriage.objects.update_or_create(study=study, defaults={"urgent": urgent})
        record(actor=user, site=study.site, action="study.flagged", subject=study, detail={"urgent": urgent})
    summaries.refresh_studies(study.pk for study in found)
    return len(found)


@transaction.atomic
def studies_assign(*, user: User, studies: Iterable[uuid.UUID], reader: User | None) -> int:
    """Assign the studies to a reader of their site, or to nobody; returns how many there are.

    Raises CodedError `invalid` for somebody who may not sign readings at a study's site.
    """
    found = _seen(user, studies)
    if reader is not None:
        for site in {study.site for study in found}:
            if reader not in readers_at([site]):
                raise CodedError(
                    "invalid",
                    f"“{reader.get_username()}” may not sign readings at {site}.",
                    "Choose a reader of that site.",
                )
    for study in found:
        StudyTriage.objects.update_or_create(study=study, defaults={"assigned": reader})
        detail = {"reader": str(reader.pk) if reader else None}
        record(actor=user, site=study.site, action="study.assigned", subject=study, detail=detail)
    summaries.refresh_studies(study.pk for study in found)
    return len(found)


@transaction.atomic
def studies_tag(*, user: User, studies: Iterable[uuid.UUID], name: str, remove: bool = False) -> int:
    """Put a tag on the studies or take it off; returns how many there are. Raises CodedError `invalid`."""
    name = " ".join(name.split())
    if not name or len(name) > 30 or not name.isprintable():
        raise CodedError("invalid", f"“{name[:40]}” is not a tag.", "Enter 1 to 30 characters.")
    found = _seen(user, studies)
    if remove:
        StudyTag.objects.filter(study__in=found, name=name).delete()
        return len(found)
    for study in found:
        others = study.tags.exclude(name=name).count()
        if others >= TAGS_A_STUDY:
            raise CodedError("invalid", f"A study has at most {TAGS_A_STUDY} tags.", "Remove one first.")
    StudyTag.objects.bulk_create((StudyTag(study=study, name=name) for study in found), ignore_conflicts=True)
    return len(found)


def readers_at(sites: Iterable[Site]) -> set[User]:
    """The members of these sites who may sign readings."""
    members = Membership.objects.filter(site__in=list(sites), user__is_active=True)
    return {
        member.user
        for member in members.select_related("user", "role")
        if Permission.SCAN_LABEL in member.role.permissions
    }


def tags_at(sites: Iterable[Site], most: int = 100) -> list[str]:
    """The tags in use at these sites, for a filter."""
    names = (
        StudyTag.objects.filter(study__site__in=list(sites)).order_by("name").values_list("name", flat=True)
    )
    return list(names.distinct()[:most])


def _seen(user: User, studies: Iterable[uuid.UUID]) -> list[Study]:
    """Those of the studies on which the user may sign readings."""
    rows = for_sites(Study.objects.filter(pk__in=list(studies)), user, Permission.SCAN_LABEL)
    return list(rows.select_related("site").order_by("pk"))
