from __future__ import annotations

from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from webapp.accounts.management.lookup import site_of, user_named
from webapp.accounts.permissions import Permission
from webapp.accounts.services import DEFAULT_SCOPES, TOKEN_DAYS, token_create
from webapp.core.errors import CodedError


class Command(BaseCommand):
    help = "Create a bearer token for the API and print it. It is shown only once."

    def add_arguments(self, parser) -> None:
        parser.add_argument("username")
        parser.add_argument("--site", help="slug of the site (default: the user's default site)")
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument(
            "--days",
            type=int,
            default=TOKEN_DAYS,
            help=f"days until it expires (default: {TOKEN_DAYS}; 0: never)",
        )
        parser.add_argument(
            "--scope",
            action="append",
            choices=list(Permission),
            metavar="PERMISSION",
            help=f"may be repeated (default: of {', '.join(DEFAULT_SCOPES)} what the role grants)",
        )

    def handle(self, *, username: str, site: str | None, name: str, days: int, **options) -> None:
        user = user_named(username)
        expires_at = timezone.now() + timedelta(days=days) if days else None
        try:
            _, raw = token_create(
                user=user,
                site=site_of(user, site),
                name=name,
                scopes=options["scope"],
                expires_at=expires_at,
            )
        except CodedError as error:
            raise CommandError(f"{error.message} {error.remedy}") from error
        self.stdout.write(raw)
