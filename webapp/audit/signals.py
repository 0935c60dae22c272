"""Audit events of accounts: signing in and out, tokens, memberships; never what was typed."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from webapp.accounts.models import ApiToken, Membership
from webapp.audit.services import record
from webapp.core.http.network import client_ip


@receiver(user_logged_in)
def _signed_in(sender, request: HttpRequest | None, user, **kwargs) -> None:
    _trace("account.signed_in", request, actor=user, subject=user)


@receiver(user_logged_out)
def _signed_out(sender, request: HttpRequest | None, user, **kwargs) -> None:
    if user is not None:
        _trace("account.signed_out", request, actor=user, subject=user)


@receiver(user_login_failed)
def _refused(sender, credentials: dict, request: HttpRequest | None = None, **kwargs) -> None:
    # A name that is no account's may be a password typed into the wrong field: it is not kept.
    user = get_user_model().objects.filter(username=str(credentials.get("username"))[:150]).first()
    _trace("account.sign_in_failed", request, actor=None, subject=user)


@receiver(post_save, sender=ApiToken)
def _token_saved(sender, instance: ApiToken, created: bool, **kwargs) -> None:
    action = "token.created" if created else "token.revoked" if instance.revoked_at else "token.changed"
    detail = {"user": str(instance.user_id), "scopes": instance.scopes}
    record(actor=None, site=instance.site, action=action, subject=instance, detail=detail)


@receiver(post_save, sender=Membership)
@receiver(post_delete, sender=Membership)
def _membership_changed(sender, instance: Membership, created: bool | None = None, **kwargs) -> None:
    action = {True: "membership.granted", False: "membership.changed", None: "membership.removed"}[created]
    detail = {"user": str(instance.user_id), "role": instance.role.name}
    record(actor=None, site=instance.site, action=action, subject=instance, detail=detail)


def _trace(action: str, request: HttpRequest | None, *, actor, subject) -> None:
    membership = subject.memberships.select_related("site").first() if subject else None
    site = membership.site if membership else None
    address = client_ip(request) if request is not None and hasattr(request, "META") else None
    detail = {"address": address} if address else {}
    record(actor=actor, site=site, action=action, subject=subject, detail=detail)
