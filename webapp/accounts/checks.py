"""System checks on accounts."""

from __future__ import annotations

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db.utils import DatabaseError

from webapp.accounts.models import User


@register(Tags.database)
def demo_accounts_stay_in_the_demo(app_configs, databases=None, **kwargs) -> list[CheckMessage]:
    """Needs the database: runs with `check --database default` and before `migrate`."""
    if not databases or settings.HILUM_ENV in ("demo", "test"):
        return []
    try:
        found = User.objects.filter(is_demo=True, is_active=True).exists()
    except DatabaseError:  # the table is not there before the first migration
        return []
    if found:
        return [
            Warning(
                "The database holds demo accounts; they cannot sign in outside the demo.",
                hint="Delete or deactivate them.",
                id="hilum.W007",
            )
        ]
    return []
