"""The members of a site, for who may manage its users. No token does what these pages do."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from webapp.accounts.members import services
from webapp.accounts.members.selectors import members_of, open_invitations, roles_within
from webapp.accounts.models import Role
from webapp.accounts.services import signed_in
from webapp.core.errors import CodedError
from webapp.core.queries import get_or_404
from webapp.pages.access import active_site, at_active_site
from webapp.pages.feedback import errors_shown

PERMISSION = "users.manage"
ACTIONS: dict[str, Callable[..., None]] = {
    "deactivate": services.member_deactivate,
    "reactivate": services.member_reactivate,
    "remove": services.member_remove,
}


@require_http_methods(["GET", "HEAD", "POST"])
@at_active_site(PERMISSION)
def page(request: HttpRequest) -> HttpResponse:
    """GET lists members and open invitations; POST invites (`role`, `email`) and shows the link, once."""
    user, site = signed_in(request.user), active_site(request)
    link = ""
    if request.method == "POST":
        with errors_shown(request):
            link = _invite(request)
    roles = roles_within(user, site)
    members = members_of(user, site)
    context = {
        "site": site,
        "members": [{"row": one, "open": one.role in roles, "own": one.user == user} for one in members],
        "invitations": open_invitations(user, site),
        "roles": roles,
        "link": link,
        "days": services.INVITATION_DAYS,
        "mail": settings.HILUM_MAIL,
    }
    return render(request, "members/members.html", context)


@require_POST
@at_active_site(PERMISSION)
def change_role(request: HttpRequest, membership_id: UUID) -> HttpResponse:
    """Give the member the role POST `role`."""
    user = signed_in(request.user)
    membership = get_or_404(members_of(user, active_site(request)), membership_id)
    with errors_shown(request):
        services.member_role_change(actor=user, membership=membership, role=_role(request))
        messages.success(request, _("Role of %(name)s changed.") % {"name": membership.user.username})
    return redirect("pages:members")


@require_POST
@at_active_site(PERMISSION)
def change(request: HttpRequest, membership_id: UUID) -> HttpResponse:
    """Do what POST `action` names: deactivate, reactivate, remove."""
    user = signed_in(request.user)
    membership = get_or_404(members_of(user, active_site(request)), membership_id)
    act = ACTIONS.get(request.POST.get("action", ""))
    if act is None:
        raise CodedError("invalid")
    with errors_shown(request):
        act(actor=user, membership=membership)
        messages.success(request, _("%(name)s changed.") % {"name": membership.user.username})
    return redirect("pages:members")


@require_POST
@at_active_site(PERMISSION)
def revoke(request: HttpRequest, invitation_id: UUID) -> HttpResponse:
    user = signed_in(request.user)
    offer = get_or_404(open_invitations(user, active_site(request)), invitation_id)
    services.invitation_revoke(actor=user, invitation=offer)
    messages.success(request, _("Invitation revoked."))
    return redirect("pages:members")


def _invite(request: HttpRequest) -> str:
    offer = services.invitation_create(
        actor=signed_in(request.user),
        site=active_site(request),
        role=_role(request),
        email=request.POST.get("email", "").strip(),
        base_url=f"{request.scheme}://{request.get_host()}",
    )
    return services.invitation_link(offer)


def _role(request: HttpRequest) -> Role:
    role = Role.objects.filter(name=request.POST.get("role", "")).first()
    if role is None:
        raise CodedError("invalid", _("There is no such role."), _("Choose a role of the list."))
    return role
