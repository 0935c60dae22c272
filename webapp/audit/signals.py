"""Audit events of accounts: signing in and out, users, tokens, memberships, roles, sites.

Never what was typed. The rows themselves are watched, so that pages, the administration and commands leave
the same trace.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import models
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from webapp.accounts.models import ApiToken, Invitation, Membership, Role, Site, User, UserSession
from webapp.audit.services import acting_user, record

# What is recorded of each model when it changes. A last sign-in and preferences are no change of access.
WATCHED: dict[type[models.Model], tuple[str, ...]] = {
    User: (
        *("username", "password", "email", "first_name", "last_name"),
        *("is_active", "is_staff", "is_superuser", "is_demo"),
    ),
    Role: ("name", "permissions"),
    Site: (
        "name",
        "slug",
        "timezone",
        "deidentify_on_ingest",
        "read_first",
        "confirm_readings",
        "date_order",
    ),
    Membership: ("role_id", "site_id", "user_id"),
}
# The states that decide what somebody may do: recorded with their new value.
FLAGS = ("is_active", "is_staff", "is_superuser", "deidentify_on_ingest")


# Changes that somebody looks for by their own name.
OF_THEIR_OWN = {"password": "account.password_changed", "is_superuser": "account.superuser_changed"}


@receiver(user_logged_in)
def _signed_in(sender, request: HttpRequest | None, user, **kwargs) -> None:
    _trace("account.signed_in", actor=user, subject=user)


@receiver(user_logged_out)
def _signed_out(sender, request: HttpRequest | None, user, **kwargs) -> None:
    if user is not None:
        _trace("account.signed_out", actor=user, subject=user)


@receiver(user_login_failed)
def _refused(sender, credentials: dict, request: HttpRequest | None = None, **kwargs) -> None:
    # A name that is no account's may be a password typed into the wrong field: it is not kept.
    user = get_user_model().objects.filter(username=str(credentials.get("username"))[:150]).first()
    _trace("account.sign_in_failed", actor=None, subject=user)


@receiver(post_save, sender=ApiToken)
def _token_saved(sender, instance: ApiToken, created: bool, **kwargs) -> None:
    action = "token.created" if created else "token.revoked" if instance.revoked_at else "token.changed"
    detail = {"user": str(instance.user_id), "scopes": instance.scopes}
    record(actor=acting_user(), site=instance.site, action=action, subject=instance, detail=detail)


@receiver(post_delete, sender=ApiToken)
def _token_deleted(sender, instance: ApiToken, **kwargs) -> None:
    detail = {"user": str(instance.user_id)}
    record(actor=acting_user(), site=instance.site, action="token.removed", subject=instance, detail=detail)


@receiver(post_save, sender=Invitation)
def _invitation_saved(sender, instance: Invitation, created: bool, **kwargs) -> None:
    ending = "created" if created else "accepted" if instance.accepted_at else "revoked"
    detail = {"role": instance.role.name}
    if instance.accepted_by_id:
        detail["user"] = str(instance.accepted_by_id)
    action = f"invitation.{ending}"
    record(actor=acting_user(), site=instance.site, action=action, subject=instance, detail=detail)


@receiver(post_save, sender=UserSession)
def _session_saved(sender, instance: UserSession, created: bool, **kwargs) -> None:
    """A session that somebody ended; a sign-out is recorded as such."""
    if not created and instance.ended_at is not None:
        _trace("account.session_ended", actor=acting_user(), subject=instance.user)


@receiver(pre_save, sender=User)
@receiver(pre_save, sender=Role)
@receiver(pre_save, sender=Site)
@receiver(pre_save, sender=Membership)
def _before(sender, instance: models.Model, update_fields=None, **kwargs) -> None:
    """Keep what the row was, for the fields that are about to change."""
    named = None if update_fields is None else {*update_fields, *(f"{name}_id" for name in update_fields)}
    fields = [name for name in WATCHED[sender] if named is None or name in named]
    before = None
    if fields and not instance._state.adding:
        before = sender._default_manager.filter(pk=instance.pk).values(*fields).first()
    instance._audited = before  # type: ignore[attr-defined]


@receiver(post_save, sender=User)
def _user_saved(sender, instance: User, created: bool, **kwargs) -> None:
    changed = _changed(instance)
    if created or changed:
        detail = {"fields": changed} | _flags(instance, FLAGS if created else changed)
        action = "account.created" if created else "account.changed"
        _trace(action, actor=acting_user(), subject=instance, **detail)
    for field, action in OF_THEIR_OWN.items():
        if field in changed or (created and field == "is_superuser" and instance.is_superuser):
            _trace(action, actor=acting_user(), subject=instance, **_flags(instance, [field]))


@receiver(post_delete, sender=User)
def _user_deleted(sender, instance: User, **kwargs) -> None:
    record(actor=acting_user(), site=None, action="account.removed", subject=instance)


@receiver(post_save, sender=Membership)
@receiver(post_delete, sender=Membership)
def _membership_changed(sender, instance: Membership, created: bool | None = None, **kwargs) -> None:
    action = {True: "membership.granted", False: "membership.changed", None: "membership.removed"}[created]
    if created is False and not _changed(instance):
        return
    before = getattr(instance, "_audited", None) or {}
    detail = {"user": str(instance.user_id), "role": instance.role.name}
    if created is False and before.get("role_id") not in (None, instance.role_id):
        detail["role_before"] = Role.objects.get(pk=before["role_id"]).name
    record(actor=acting_user(), site=instance.site, action=action, subject=instance, detail=detail)


@receiver(post_save, sender=Role)
@receiver(post_save, sender=Site)
@receiver(post_delete, sender=Role)
@receiver(post_delete, sender=Site)
def _saved(sender, instance: models.Model, created: bool | None = None, **kwargs) -> None:
    changed = _changed(instance)
    if created is False and not changed:
        return
    ending = {True: "created", False: "changed", None: "removed"}[created]
    detail: dict[str, Any] = {"fields": changed} | _flags(instance, changed)
    if isinstance(instance, Role):
        detail = {"role": instance.name, "permissions": instance.permissions}
    site = instance if isinstance(instance, Site) and created is not None else None
    action = f"{sender._meta.model_name}.{ending}"
    record(actor=acting_user(), site=site, action=action, subject=instance, detail=detail)


def _changed(instance: models.Model) -> list[str]:
    before = getattr(instance, "_audited", None) or {}
    return sorted(name for name, value in before.items() if getattr(instance, name) != value)


def _flags(instance: models.Model, fields: Any) -> dict[str, Any]:
    return {name: getattr(instance, name) for name in fields if name in FLAGS and hasattr(instance, name)}


def _trace(action: str, *, actor, subject, **detail: Any) -> None:
    membership = subject.memberships.select_related("site").first() if subject else None
    site = membership.site if membership else None
    record(actor=actor, site=site, action=action, subject=subject, detail=detail)
