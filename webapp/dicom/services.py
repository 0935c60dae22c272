"""Writes to application entities."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from webapp.accounts.models import Role, Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import membership_set
from webapp.audit.services import record
from webapp.dicom.models import Sender

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
