"""Writes to application entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from webapp.accounts.models import Role, Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import membership_set
from webapp.audit.services import record
from webapp.dicom.models import Peer, Sender

ROLE = "sender"


@transaction.atomic
def sender_set(
    *,
    site: Site,
    calling_title: str,
    networks: Sequence[str],
    called_title: str = "",
    user: User | None = None,
    description: str = "",
) -> Sender:
    """Let an application entity send to the site, in place of an earlier entry of the same titles there.

    Without `user` it uploads as the site's service account, which may do nothing else. Raises
    ValidationError.
    """
    sender = Sender.objects.filter(
        site=site, calling_title=calling_title, called_title=called_title
    ).first() or Sender(site=site, calling_title=calling_title, called_title=called_title)
    sender.networks, sender.active, sender.description = list(networks), True, description
    sender.user = user or service_account(site=site)
    sender.full_clean()
    sender.save()
    record(actor=None, site=site, action="dicom.sender_set", subject=sender)
    return sender


def service_account(*, site: Site) -> User:
    """The account by which images are received at the site; nobody can sign in to it."""
    user, created = User.objects.get_or_create(username=f"dicom-{site.slug}")
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    role, _ = Role.objects.get_or_create(name=ROLE, defaults={"permissions": [Permission.SCAN_UPLOAD.value]})
    if not user.memberships.filter(site=site).exists():
        membership_set(user=user, site=site, role=role)
    return user


@transaction.atomic
def peer_set(*, site: Site, name: str, values: Mapping[str, Any], reports_for: str = "") -> Peer:
    """Name a system that this server calls, in place of an earlier one of the name at the site.

    `reports_for`: the calling AE title of a sender whose commitment reports go there. Raises ValidationError.
    """
    peer = Peer.objects.filter(site=site, name=name).first() or Peer(site=site, name=name)
    for field, value in values.items():
        setattr(peer, field, value)
    peer.user, peer.active = service_account(site=site), True
    peer.full_clean()
    peer.save()
    if reports_for:
        senders = Sender.objects.filter(site=site, calling_title=reports_for)
        if not senders.update(report_to=peer):
            raise ValidationError(f"The site has no sender {reports_for}; see create_dicom_sender.")
    record(actor=None, site=site, action="dicom.peer_set", subject=peer)
    return peer
