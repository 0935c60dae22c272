"""Which studies are urgent, in which order studies wait, and who hears of an urgent one.

A person's decision comes first, then the priority in a DICOM header, then the site's rule on probability.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from webapp.accounts.models import Membership, Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.preferences import preferences_of
from webapp.accounts.services import demand
from webapp.analysis.models import StudySummary, StudyTriage, UrgencyRule, Urgent, UrgentCase
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.scans.models import Scan, Study
from webapp.webhooks.kinds import EventKind
from webapp.webhooks.services import announce

# RequestedProcedurePriority (0040,1003).
URGENT_PRIORITIES = {"STAT", "HIGH"}
# Further apart than any two arrivals in seconds.
TIER = 1e11
URGENT_TIER, UNREAD_TIER, READ_TIER = 0, 1, 2
PERMISSION = Permission.CALIBRATION_MANAGE


def turn_of(*, urgent: str, read: bool, arrived: datetime) -> float:
    """Where a study stands among those that wait: urgent ones, then unread, then read; the oldest first."""
    tier = READ_TIER if read else URGENT_TIER if urgent else UNREAD_TIER
    return tier * TIER + arrived.timestamp()


def urgency_of(
    *, site: uuid.UUID, scans: Iterable[Scan], finding: str, probability: float | None, by_hand: bool | None
) -> str:
    """What makes a study urgent, empty where nothing does; at most one query."""
    if by_hand is not None:
        return Urgent.HAND if by_hand else ""
    stated = {str(scan.metadata.get("RequestedProcedurePriority") or "").upper() for scan in scans}
    if stated & URGENT_PRIORITIES:
        return Urgent.DICOM
    if finding and probability is not None:
        rules = UrgencyRule.objects.filter(site=site, finding=finding, probability__lte=probability)
        return Urgent.RULE if rules.exists() else ""
    return ""


def urgent_announce(*, study: Study, reason: str) -> None:
    """Note that an unread study became urgent, for the page, e-mails and webhooks; the study is locked."""
    UrgentCase.objects.create(study=study, site_id=study.site_id, reason=reason)
    announce(
        site_id=study.site_id, kind=EventKind.STUDY_URGENT, subject=study.pk, data={"reason": str(reason)}
    )


def rules_of(site: Site) -> dict[str, float]:
    return dict(site.urgency_rules.order_by("finding").values_list("finding", "probability"))


@transaction.atomic
def rules_set(*, site: Site, actor: User, rules: Mapping[str, float]) -> None:
    """Replace the site's rule: finding to least urgent probability; unread studies follow at once.

    Nobody is notified of studies that are at the site already. Raises CodedError `forbidden`, or `invalid`
    for a probability outside 0 to 1.
    """
    demand(actor, PERMISSION, site)
    for finding, probability in rules.items():
        if not 0 <= probability <= 1:
            raise CodedError("invalid", f"{probability:g} is not a probability.", "Use a number from 0 to 1.")
        if not finding or len(finding) > 64:
            raise CodedError(
                "invalid", f"“{finding[:64]}” is not a finding.", "Choose a finding of the model."
            )
    Site.objects.select_for_update().get(pk=site.pk)
    site.urgency_rules.all().delete()
    UrgencyRule.objects.bulk_create(
        UrgencyRule(site=site, finding=f, probability=p) for f, p in rules.items()
    )
    unread = StudySummary.objects.filter(site=site, reader=None)
    unread.filter(urgent=Urgent.RULE).update(urgent="", turn=F("turn") + (UNREAD_TIER - URGENT_TIER) * TIER)
    decided = StudyTriage.objects.filter(urgent__isnull=False).values("study")
    for finding, probability in rules.items():
        reached = unread.filter(urgent="", finding=finding, probability__gte=probability)
        reached.exclude(study__in=decided).update(
            urgent=Urgent.RULE, turn=F("turn") - (UNREAD_TIER - URGENT_TIER) * TIER
        )
    detail = {"rules": {finding: round(probability, 4) for finding, probability in rules.items()}}
    record(actor=actor, site=site, action="urgency.rules_changed", subject=site, detail=detail)


def latest_urgent(site: Site) -> UrgentCase | None:
    """The site's newest urgent study that is still unread."""
    still = ~Q(study__summary__urgent="") & Q(study__summary__reader=None)
    cases = UrgentCase.objects.filter(still, site=site)
    return cases.select_related("study__summary").order_by("-created_at").first()


def cases_to_mail() -> list[UrgentCase]:
    """Urgent cases without an e-mail, oldest first."""
    return list(UrgentCase.objects.filter(mailed_at=None).select_related("site").order_by("created_at")[:200])


def case_mailed(*, case: UrgentCase) -> None:
    UrgentCase.objects.filter(pk=case.pk).update(mailed_at=timezone.now())


def mail_recipients(site: Site) -> list[str]:
    """Addresses of the site's readers who asked for e-mails about urgent studies."""
    members = Membership.objects.filter(site=site, user__is_active=True).exclude(user__email="")
    return sorted(
        {
            member.user.email
            for member in members.select_related("user", "role")
            if Permission.SCAN_VIEW in member.role.permissions and preferences_of(member.user)["urgent_mail"]
        }
    )
