"""Destinations and rules of a site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from webapp.accounts.models import Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.results.kinds import OBJECT_DESTINATIONS, URL_DESTINATIONS, DestinationKind
from webapp.results.models import Destination, ResultDelivery, Rule
from webapp.webhooks.addresses import host_target, target_of

MOST_OF_A_SITE, MOST_RULES = 20, 20
DEFAULT_PORTS = {DestinationKind.DICOM: 11112, DestinationKind.HL7: 2575}


def destination_create(*, site: Site, actor: User, **values: Any) -> Destination:
    """Raises CodedError `forbidden`, `invalid`, `webhook_address_refused`, `conflict`."""
    demand(actor, Permission.RESULT_MANAGE, site)
    if Destination.objects.filter(site=site, removed=False).count() >= MOST_OF_A_SITE:
        raise CodedError(
            "conflict", f"A site has at most {MOST_OF_A_SITE} destinations.", "Remove one first."
        )
    destination = Destination(site=site, created_by=actor, **values)
    _save(destination, "created", actor, list(values))
    return destination


def destination_change(*, destination: Destination, actor: User, **values: Any) -> Destination:
    """Change it; its waiting deliveries are tried again at once. Raises what `destination_create` raises."""
    demand(actor, Permission.RESULT_MANAGE, destination.site)
    for name, value in values.items():
        setattr(destination, name, value)
    destination.failures, destination.paused_until = 0, None
    _save(destination, "changed", actor, list(values))
    return destination


@transaction.atomic
def destination_remove(*, destination: Destination, actor: User) -> None:
    """Send nothing there any more; its log stays, and what waits is dismissed."""
    demand(actor, Permission.RESULT_MANAGE, destination.site)
    Destination.objects.filter(pk=destination.pk).update(removed=True, active=False)
    destination.rules.all().delete()
    waiting = ResultDelivery.objects.filter(
        destination=destination, status__in=[ResultDelivery.Status.WAITING, ResultDelivery.Status.FAILED]
    )
    waiting.update(status=ResultDelivery.Status.DISMISSED)
    record(actor=actor, site=destination.site, action="destination.removed", subject=destination)


@transaction.atomic
def rule_create(
    *,
    destination: Destination,
    actor: User,
    when: str,
    kinds: Sequence[str],
    findings: Sequence[str] = (),
    withheld: bool = True,
) -> Rule:
    """Raises CodedError `forbidden`, `invalid`, `conflict` when the destination has as many as it may."""
    demand(actor, Permission.RESULT_MANAGE, destination.site)
    if destination.rules.count() >= MOST_RULES:
        raise CodedError("conflict", f"A destination has at most {MOST_RULES} rules.", "Remove one first.")
    takes_objects = destination.kind in OBJECT_DESTINATIONS
    rule = Rule(
        destination=destination,
        created_by=actor,
        when=when,
        findings=sorted(set(findings)),
        withheld=withheld,
        kinds=list(kinds) if takes_objects else ["result", "reading"],
    )
    _check(rule)
    rule.save(force_insert=True)
    detail = {
        "destination": str(destination.pk),
        "when": when,
        "kinds": rule.kinds,
        "findings": rule.findings,
    }
    record(actor=actor, site=destination.site, action="result_rule.created", subject=rule, detail=detail)
    return rule


@transaction.atomic
def rule_remove(*, rule: Rule, actor: User) -> None:
    site = rule.destination.site
    demand(actor, Permission.RESULT_MANAGE, site)
    detail = {"destination": str(rule.destination_id)}
    record(actor=actor, site=site, action="result_rule.removed", subject=rule, detail=detail)
    rule.delete()


def _save(destination: Destination, action: str, actor: User, fields: list[str]) -> None:
    _check(destination)
    _check_address(destination)
    try:
        with transaction.atomic():
            destination.save()
            detail = {"kind": destination.kind, "fields": sorted(fields)}
            record(
                actor=actor,
                site=destination.site,
                action=f"destination.{action}",
                subject=destination,
                detail=detail,
            )
            notify_workers(Queue.SEND)
    except IntegrityError as error:
        message = f"There is already a destination named “{destination.name[:64]}”."
        raise CodedError("conflict", message, "Choose another name.") from error


def _check_address(destination: Destination) -> None:
    if destination.kind in URL_DESTINATIONS:
        destination.host, destination.port, destination.called_ae = "", None, ""
        target_of(destination.url)
        return
    destination.url = ""
    destination.port = destination.port or DEFAULT_PORTS[DestinationKind(destination.kind)]
    host_target(destination.host, destination.port)
    if destination.kind == DestinationKind.DICOM and not (destination.called_ae and destination.calling_ae):
        raise CodedError("invalid", "A DICOM destination needs a called and a calling AE title.")


def _check(row: Destination | Rule) -> None:
    try:
        row.clean_fields()
    except ValidationError as error:
        field, problems = next(iter(error.message_dict.items()))
        raise CodedError("invalid", f"{field}: {problems[0]}") from error
