"""Reads of the members of a site."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone

from webapp.accounts.members.services import role_is_within
from webapp.accounts.models import Invitation, Membership, Role, Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import for_sites


def members_of(actor: User, site: Site) -> QuerySet[Membership]:
    """The memberships of the site, if the actor manages its users; by name."""
    held = for_sites(Membership.objects.filter(site=site), actor, Permission.USERS_MANAGE)
    return held.select_related("user", "role", "site").order_by("user__username")


def open_invitations(actor: User, site: Site) -> QuerySet[Invitation]:
    """The invitations to the site that can still be accepted."""
    pending = Invitation.objects.filter(
        site=site, accepted_at=None, revoked_at=None, expires_at__gt=timezone.now()
    )
    return for_sites(pending, actor, Permission.USERS_MANAGE).select_related("role", "invited_by", "site")


def invitations_to_mail() -> QuerySet[Invitation]:
    """The open invitations with an e-mail address that have not been sent."""
    return (
        Invitation.objects.filter(
            mailed_at=None, accepted_at=None, revoked_at=None, expires_at__gt=timezone.now()
        )
        .exclude(email="")
        .select_related("site", "role")
    )


def roles_within(actor: User, site: Site) -> list[Role]:
    """The roles that the actor may give at the site."""
    return [role for role in Role.objects.all() if role_is_within(actor=actor, site=site, role=role)]
