from __future__ import annotations

from datetime import timedelta

from django.core.management.base import BaseCommand
from django.utils import timezone

from webapp.accounts.management.lookup import site_of, user_named
from webapp.accounts.permissions import Permission
from webapp.accounts.services import DEFAULT_SCOPES, scopes_not_granted, token_create


class Command(BaseCommand):
    help = "Make a bearer token for the API and print it: once, for only its digest is kept."

    def add_arguments(self, parser) -> None:
        parser.add_argument("username")
        parser.add_argument("--site", help="the site's slug; left out: the user's default site")
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument("--days", type=int, help="days until it expires; left out: it does not")
        parser.add_argument(
            "--scope",
            action="append",
            choices=list(Permission),
            metavar="PERMISSION",
            help=f"may be repeated; left out: {', '.join(DEFAULT_SCOPES)}",
        )

    def handle(self, *, username: str, site: str | None, name: str, days: int | None, **options) -> None:
        user = user_named(username)
        at, scopes = site_of(user, site), options["scope"] or DEFAULT_SCOPES
        expires_at = timezone.now() + timedelta(days=days) if days else None
        if missing := scopes_not_granted(user=user, site=at, scopes=scopes):
            self.stderr.write(
                f"Warning: the role of {username} at {at.slug} does not grant {', '.join(missing)}; requests "
                "that need it are refused (403) until an administrator changes the role."
            )
        _, raw = token_create(user=user, site=at, name=name, scopes=scopes, expires_at=expires_at)
        self.stdout.write(raw)
