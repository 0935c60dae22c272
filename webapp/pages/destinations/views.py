"""Destinations of results: where they go, by which rules, and what happened to each delivery."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.services import signed_in
from webapp.core.errors import CodedError
from webapp.core.queries import get_or_404
from webapp.pages.access import active_site, at_active_site
from webapp.pages.destinations.context import log_context, page_context
from webapp.pages.feedback import errors_shown
from webapp.results import deliveries, services
from webapp.results.kinds import DestinationKind
from webapp.results.selectors import (
    PERMISSION,
    delivery_or_404,
    destination_or_404,
    requestable,
    rule_or_404,
)
from webapp.scans.selectors import scan_or_404

TEXTS = ("name", "url", "host", "called_ae", "calling_ae", "credential")


@require_safe
@at_active_site(PERMISSION)
def page(request: HttpRequest) -> HttpResponse:
    context = page_context(signed_in(request.user), active_site(request))
    return render(request, "destinations/destinations.html", context)


@require_safe
@at_active_site(PERMISSION)
def log(request: HttpRequest) -> HttpResponse:
    """The deliveries alone, for the page to renew them."""
    return render(
        request, "destinations/_log.html", log_context(signed_in(request.user), active_site(request))
    )


@require_POST
@at_active_site(PERMISSION)
def save(request: HttpRequest) -> HttpResponse:
    """Add a destination: POST `kind`, `name` and the address that this kind needs."""
    with errors_shown(request):
        values = _values(request)
        services.destination_create(site=active_site(request), actor=signed_in(request.user), **values)
        messages.success(request, _("%(name)s added. Test it, then add a rule.") % {"name": values["name"]})
    return redirect("pages:destinations")


@require_POST
@at_active_site(PERMISSION)
def test(request: HttpRequest, destination_id: UUID) -> HttpResponse:
    user = signed_in(request.user)
    with errors_shown(request):
        deliveries.destination_test(destination=destination_or_404(user, destination_id), actor=user)
        messages.success(request, _("The connection is tested. See the latest deliveries."))
    return redirect("pages:destinations")


@require_POST
@at_active_site(PERMISSION)
def switch(request: HttpRequest, destination_id: UUID) -> HttpResponse:
    """Disable an active destination, enable a disabled one; what waits is kept."""
    user = signed_in(request.user)
    destination = destination_or_404(user, destination_id)
    with errors_shown(request):
        services.destination_change(destination=destination, actor=user, active=not destination.active)
    return redirect("pages:destinations")


@require_POST
@at_active_site(PERMISSION)
def remove(request: HttpRequest, destination_id: UUID) -> HttpResponse:
    user = signed_in(request.user)
    services.destination_remove(destination=destination_or_404(user, destination_id), actor=user)
    messages.success(request, _("Destination removed. Nothing more is sent there."))
    return redirect("pages:destinations")


@require_POST
@at_active_site(PERMISSION)
def add_rule(request: HttpRequest, destination_id: UUID) -> HttpResponse:
    """Add a rule: POST `when`, `finding` (several; none: all), `withheld`, `object` (several)."""
    user = signed_in(request.user)
    with errors_shown(request):
        services.rule_create(
            destination=destination_or_404(user, destination_id),
            actor=user,
            when=request.POST.get("when", ""),
            kinds=request.POST.getlist("object"),
            findings=request.POST.getlist("finding"),
            withheld="withheld" in request.POST,
        )
        messages.success(request, _("Rule added. It applies to results from now on."))
    return redirect("pages:destinations")


@require_POST
@at_active_site(PERMISSION)
def remove_rule(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    user = signed_in(request.user)
    services.rule_remove(rule=rule_or_404(user, rule_id), actor=user)
    return redirect("pages:destinations")


@require_POST
@at_active_site(PERMISSION)
def resend(request: HttpRequest, delivery_id: UUID) -> HttpResponse:
    user = signed_in(request.user)
    with errors_shown(request):
        deliveries.delivery_resend(delivery=delivery_or_404(user, delivery_id), actor=user)
    return redirect("pages:destinations")


@require_POST
@at_active_site(PERMISSION)
def dismiss(request: HttpRequest, delivery_id: UUID) -> HttpResponse:
    user = signed_in(request.user)
    with errors_shown(request):
        deliveries.delivery_dismiss(delivery=delivery_or_404(user, delivery_id), actor=user)
    return redirect("pages:destinations")


@require_POST
def send(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """Send the scan's result on request: POST the id of a `destination`."""
    user = signed_in(request.user)
    scan = scan_or_404(user, scan_id)
    with errors_shown(request):
        try:
            key = UUID(request.POST.get("destination", ""))
        except ValueError as error:
            raise CodedError("invalid", _("Select a destination.")) from error
        destination = get_or_404(requestable(scan.site), key)
        deliveries.results_send(scan=scan, destination=destination, actor=user)
        messages.success(request, _("The result is being sent to %(name)s.") % {"name": destination.name})
    return redirect("pages:report", scan_id)


def _values(request: HttpRequest) -> dict[str, Any]:
    values: dict[str, Any] = {name: request.POST.get(name, "").strip() for name in TEXTS}
    values["kind"], values["tls"] = request.POST.get("kind", ""), "tls" in request.POST
    if values["kind"] not in DestinationKind.values:
        raise CodedError("invalid", _("Select a kind of destination."))
    if not values["name"]:
        raise CodedError("invalid", _("Enter a name."))
    port = request.POST.get("port", "").strip()
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise CodedError("invalid", _("A port is a number from 1 to 65535."))
    return values | {"port": int(port) if port else None}
