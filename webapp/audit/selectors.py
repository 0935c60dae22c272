"""Reading the audit log."""

from __future__ import annotations

from django.db.models import QuerySet

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.audit.models import AuditEvent


def events_visible(user: User) -> QuerySet[AuditEvent]:
    """The events of the user's sites, and those without a site (promotions, …), which concern every site."""
    return for_sites(AuditEvent.objects.select_related("actor"), user, "audit.view", include_global=True)
