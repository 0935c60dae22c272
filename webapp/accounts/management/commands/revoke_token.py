from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.management.lookup import user_named
from webapp.accounts.models import ApiToken
from webapp.accounts.services import token_revoke


class Command(BaseCommand):
    help = "Shut out the user's tokens of this name, from now on; without a name, all of the user's tokens."

    def add_arguments(self, parser) -> None:
        parser.add_argument("username")
        parser.add_argument("name", nargs="?", help="what the token was made for; see create_token --name")

    def handle(self, *, username: str, name: str | None, **options) -> None:
        live = ApiToken.objects.filter(user=user_named(username), revoked_at=None)
        chosen = live.filter(name=name) if name else live
        if not chosen:
            names = ", ".join(live.values_list("name", flat=True)) or "none"
            raise CommandError(f"{username} has no such token; there are: {names}.")
        for token in chosen:
            token_revoke(token=token)
            self.stdout.write(f"{token.name}: revoked")
