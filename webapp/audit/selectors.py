"""Reading the audit log."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Max, Min, Q, QuerySet

from webapp.accounts.models import Site, User
from webapp.accounts.services import for_sites
from webapp.audit.models import AuditEvent


@dataclass(frozen=True)
class Filters:
    """What an auditor asks for; `patients` are ids, `until` is exclusive."""

    patients: Collection[UUID] = ()
    actor: UUID | None = None
    action: str = ""
    since: datetime | None = None
    until: datetime | None = None


def events_visible(user: User) -> QuerySet[AuditEvent]:
    """The events of the user's sites, and those without a site (promotions, …), which concern every site."""
    return for_sites(AuditEvent.objects.select_related("actor"), user, "audit.view", include_global=True)


def events_found(user: User, filters: Filters) -> QuerySet[AuditEvent]:
    """The visible events that match, newest first. `action` matches itself and what it begins (`scan.`)."""
    events = events_visible(user).select_related("site")
    if filters.patients:
        events = events.filter(patient__in=filters.patients)
    if filters.actor:
        events = events.filter(actor=filters.actor)
    if filters.action.endswith("."):
        events = events.filter(action__startswith=filters.action)
    elif filters.action:
        events = events.filter(action=filters.action)
    if filters.since:
        events = events.filter(created_at__gte=filters.since)
    if filters.until:
        events = events.filter(created_at__lt=filters.until)
    return events.order_by("-created_at", "-id")


def events_before(events: QuerySet[AuditEvent], event: AuditEvent) -> QuerySet[AuditEvent]:
    """Those that come after this one in the order of `events_found`."""
    later = Q(created_at__lt=event.created_at) | Q(created_at=event.created_at, id__lt=event.pk)
    return events.filter(later, created_at__lte=event.created_at)


def who_saw(user: User, patients: Collection[UUID]) -> list[dict[str, object]]:
    """Each user with an event about one of these patients: number of events, first and last, latest first."""
    seen = events_visible(user).filter(patient__in=patients).order_by()
    counted = seen.values("actor").annotate(
        events=Count("id"), first=Min("created_at"), last=Max("created_at")
    )
    rows = list(counted.order_by("-last"))
    people = User.objects.in_bulk([row["actor"] for row in rows if row["actor"]])
    return [row | {"user": people.get(row["actor"])} for row in rows]


def people_of(user: User) -> QuerySet[User]:
    """The members of the sites whose audit log the user may read."""
    sites = for_sites(Site.objects.all(), user, "audit.view", path="pk")
    return User.objects.filter(memberships__site__in=sites).distinct().order_by("username")
