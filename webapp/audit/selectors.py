"""Reading the audit trail."""

from __future__ import annotations

from django.db.models import QuerySet

from webapp.accounts.permissions import Permission
from webapp.accounts.services import for_sites
from webapp.audit.models import AuditEvent


def events_for(user) -> QuerySet[AuditEvent]:
    """The events of the sites whose trail the user may read, newest first."""
    return for_sites(AuditEvent.objects.select_related("actor", "site"), user, Permission.AUDIT_VIEW)
