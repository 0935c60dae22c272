"""The members of a site: roles, invitations, deactivation.

Whoever may manage users does so within the own rights, and a site always keeps somebody who may.
"""

from __future__ import annotations

from datetime import timedelta

from django.core import signing
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.accounts.models import ApiToken, Invitation, Membership, Role, Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import can, demand, membership_set, token_revoke
from webapp.accounts.sessions.services import sessions_end
from webapp.core.errors import CodedError

INVITATION_DAYS = 7
_SALT = "hilum.invitation"


def role_is_within(*, actor: User, site: Site, role: Role) -> bool:
    """Whether the actor's own role at the site grants all that this role does."""
    held = Membership.objects.filter(user=actor, site=site).select_related("role").first()
    return held is not None and set(role.permissions) <= set(held.role.permissions)


@transaction.atomic
def member_role_change(*, actor: User, membership: Membership, role: Role) -> None:
    """Raises CodedError `above_own_rights`, `last_admin`."""
    _demand(actor, membership.site, membership.role, role)
    membership_set(user=membership.user, site=membership.site, role=role, is_default=membership.is_default)
    _demand_an_admin(membership.site)


@transaction.atomic
def member_remove(*, actor: User, membership: Membership) -> None:
    """End the user's membership of the site, with the tokens there; the account stays."""
    _demand(actor, membership.site, membership.role)
    for token in ApiToken.objects.filter(user=membership.user, site=membership.site, revoked_at=None):
        token_revoke(token=token)
    membership.delete()
    _demand_an_admin(membership.site)


@transaction.atomic
def member_deactivate(*, actor: User, membership: Membership) -> None:
    """Shut the account out: its sessions end, its tokens stop to work.

    Raises CodedError `member_elsewhere` for an account that works at sites that the actor does not manage.
    """
    user = _own_account(actor, membership)
    user.is_active = False
    user.save(update_fields=["is_active"])
    sessions_end(user=user)
    for held in Membership.objects.filter(user=user).select_related("site"):
        _demand_an_admin(held.site)


@transaction.atomic
def member_reactivate(*, actor: User, membership: Membership) -> None:
    user = _own_account(actor, membership)
    user.is_active = True
    user.save(update_fields=["is_active"])


@transaction.atomic
def invitation_create(
    *, actor: User, site: Site, role: Role, email: str = "", base_url: str = ""
) -> Invitation:
    """Offer the role for INVITATION_DAYS. Raises CodedError `above_own_rights`, `invalid` for the address."""
    _demand(actor, site, role)
    if email:
        try:
            validate_email(email)
        except ValidationError as error:
            raise CodedError(
                "invalid", _("“%(email)s” is not an e-mail address.") % {"email": email}
            ) from error
    expires_at = timezone.now() + timedelta(days=INVITATION_DAYS)
    return Invitation.objects.create(
        site=site, role=role, invited_by=actor, email=email, base_url=base_url, expires_at=expires_at
    )


@transaction.atomic
def invitation_revoke(*, actor: User, invitation: Invitation) -> None:
    demand(actor, Permission.USERS_MANAGE, invitation.site)
    invitation.revoked_at = timezone.now()
    invitation.save(update_fields=["revoked_at"])


def invitation_link(invitation: Invitation) -> str:
    """The address that accepts the invitation. It is signed, so that no table holds what lets somebody in."""
    secret = signing.Signer(salt=_SALT).sign(invitation.pk.hex)
    return invitation.base_url + reverse("accounts:invitation", args=[secret])


def invitation_of(secret: str) -> Invitation:
    """The invitation that a link belongs to; raises CodedError `not_found`, also when it is over.

    It is over, too, once the inviter may not give the role any more.
    """
    try:
        key = signing.Signer(salt=_SALT).unsign(secret)
    except signing.BadSignature as error:
        raise CodedError("not_found") from error
    open_ones = Invitation.objects.filter(
        pk=key, accepted_at=None, revoked_at=None, expires_at__gt=timezone.now(), invited_by__is_active=True
    )
    found = open_ones.select_related("site", "role", "invited_by").first()
    if found is None or not (
        can(found.invited_by, Permission.USERS_MANAGE, found.site)
        and role_is_within(actor=found.invited_by, site=found.site, role=found.role)
    ):
        raise CodedError(
            "not_found", _("This invitation is not valid any more."), _("Ask for a new one."), status=404
        )
    return found


@transaction.atomic
def invitation_accept(*, invitation: Invitation, user: User) -> Membership:
    """Make the user a member; raises CodedError `conflict` when somebody else was faster."""
    locked = Invitation.objects.select_for_update().get(pk=invitation.pk)
    if locked.accepted_at is not None or locked.revoked_at is not None:
        raise CodedError("conflict")
    if Membership.objects.filter(user=user, site=locked.site).exists():
        raise CodedError("conflict", _("You are a member of this site already."), _("Go to the worklist."))
    locked.accepted_at, locked.accepted_by = timezone.now(), user
    locked.save(update_fields=["accepted_at", "accepted_by"])
    return membership_set(user=user, site=locked.site, role=locked.role)


def invitation_mailed(*, invitation: Invitation) -> None:
    """Note that the link was sent."""
    Invitation.objects.filter(pk=invitation.pk).update(mailed_at=timezone.now())


def _demand(actor: User, site: Site, *roles: Role) -> None:
    demand(actor, Permission.USERS_MANAGE, site)
    for role in roles:
        if not role_is_within(actor=actor, site=site, role=role):
            raise CodedError("above_own_rights")


def _own_account(actor: User, membership: Membership) -> User:
    """The member's account, if it is the actor's to switch off."""
    user = membership.user
    if user == actor:
        raise CodedError("invalid", _("You cannot deactivate yourself."), _("Ask another administrator."))
    if user.is_superuser and not actor.is_superuser:
        raise CodedError("above_own_rights")
    _demand(actor, membership.site, membership.role)
    managed = Membership.objects.filter(user=actor).select_related("role")
    sites = {held.site_id for held in managed if Permission.USERS_MANAGE in held.role.permissions}
    if Membership.objects.filter(user=user).exclude(site__in=sites).exists():
        raise CodedError("member_elsewhere")
    return user


def _demand_an_admin(site: Site) -> None:
    """Raise CodedError `last_admin`, which undoes the change, where nobody is left to manage users."""
    active = Membership.objects.select_for_update().filter(site=site, user__is_active=True)
    if not any(Permission.USERS_MANAGE in held.role.permissions for held in active.select_related("role")):
        raise CodedError("last_admin")
