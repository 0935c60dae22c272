from __future__ import annotations

from django.core.management.base import BaseCommand

from webapp.accounts.management.lookup import role_named, site_named, user_named
from webapp.accounts.services import membership_set


class Command(BaseCommand):
    help = "Give a user a role at a site, in place of an earlier one there."

    def add_arguments(self, parser) -> None:
        parser.add_argument("username")
        parser.add_argument("site", help="the site's slug")
        parser.add_argument("role", help="clinician, admin, auditor or a role of your own")
        parser.add_argument("--default", action="store_true", help="active after sign-in")

    def handle(self, *, username: str, site: str, role: str, default: bool, **options) -> None:
        membership = membership_set(
            user=user_named(username), site=site_named(site), role=role_named(role), is_default=default
        )
        self.stdout.write(f"{membership}.")
