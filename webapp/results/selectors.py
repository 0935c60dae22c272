"""Reading destinations, deliveries and result objects; those of other sites do not exist for the user."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.db.models import Q, QuerySet

from webapp.accounts.models import Site, User
from webapp.accounts.services import for_sites
from webapp.core.queries import get_or_404
from webapp.results.kinds import When
from webapp.results.models import Destination, ResultDelivery, ResultObject, Rule
from webapp.scans.models import Scan

PERMISSION = "result.manage"


def destinations_visible(user: User) -> QuerySet[Destination]:
    rows = Destination.objects.filter(removed=False).select_related("site").prefetch_related("rules")
    return for_sites(rows, user, PERMISSION)


def destination_or_404(user: User, key: uuid.UUID) -> Destination:
    return get_or_404(destinations_visible(user), key)


def rule_or_404(user: User, key: uuid.UUID) -> Rule:
    rules = Rule.objects.filter(destination__removed=False).select_related("destination__site")
    return get_or_404(for_sites(rules, user, PERMISSION, path="destination__site"), key)


def deliveries_visible(user: User) -> QuerySet[ResultDelivery]:
    """Newest first, with the log of each."""
    rows = ResultDelivery.objects.select_related("destination__site", "requested_by")
    rows = rows.prefetch_related("tries").order_by("-created_at", "-id")
    return for_sites(rows, user, PERMISSION, path="destination__site")


def delivery_or_404(user: User, key: uuid.UUID) -> ResultDelivery:
    return get_or_404(deliveries_visible(user), key)


def requestable(site: Site) -> QuerySet[Destination]:
    """The destinations to which a person may send a result: those with a rule for it."""
    rows = Destination.objects.filter(site=site, active=True, removed=False)
    return rows.filter(rules__when=When.ON_REQUEST).distinct()


def deliveries_of_scan(scan: Scan) -> QuerySet[ResultDelivery]:
    """Deliveries about the scan, newest first."""
    about = Q(scan=scan) | Q(scan=None, reading__read_scans__scan=scan)
    rows = ResultDelivery.objects.filter(about).select_related("destination")
    return rows.order_by("-created_at").distinct()


def current_objects(site: Site, study_instance_uid: str) -> QuerySet[ResultObject]:
    """The result objects of a study that no later one supersedes, for DICOMweb."""
    rows = ResultObject.objects.filter(site=site, study_instance_uid=study_instance_uid)
    return rows.filter(superseded_by=None)


def stored_objects() -> Iterator[tuple[str, str]]:
    """Names and SHA-256 of all stored files, for `check_storage`."""
    yield from ResultObject.objects.values_list("stored_name", "sha256").iterator()
