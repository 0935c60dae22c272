"""System checks on accounts."""

from __future__ import annotations

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db.utils import DatabaseError

from webapp.accounts.models import DEIDENTIFY_KEY_LENGTH, Site, User, deidentify_key_is_strong


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


@register(Tags.security)
def new_sites_have_a_key(app_configs, **kwargs) -> list[CheckMessage]:
    """DEIDENTIFY_ON_INGEST needs a key at once; what there is of sites is looked up below."""
    return _key_needed() if settings.DEIDENTIFY_ON_INGEST else []


@register(Tags.database)
def sites_without_identity_have_a_key(app_configs, databases=None, **kwargs) -> list[CheckMessage]:
    if not databases or settings.DEIDENTIFY_ON_INGEST:
        return []
    try:
        asked_for = Site.objects.filter(deidentify_on_ingest=True).exists()
    except DatabaseError:  # the column is not there before its migration
        return []
    return _key_needed() if asked_for else []


def _key_needed() -> list[CheckMessage]:
    if deidentify_key_is_strong():
        return []
    return [
        Error(
            "A site is to keep no identity, and DEIDENTIFY_KEY is not set or short enough to be guessed.",
            hint=f"Set it to {DEIDENTIFY_KEY_LENGTH} random characters or more, and keep it as it is.",
            id="hilum.E009",
        )
    ]
