from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.models import Site


class Command(BaseCommand):
    help = "Create a site (a hospital or a department)."

    def add_arguments(self, parser) -> None:
        parser.add_argument("slug", help="short name, such as st-anna")
        parser.add_argument("name", help="full name")
        parser.add_argument("--timezone", default="UTC", help="such as Europe/Berlin")

    def handle(self, *, slug: str, name: str, timezone: str, **options) -> None:
        site = Site(slug=slug, name=name, timezone=timezone)
        try:
            site.full_clean()
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        site.save()
        self.stdout.write(f"Site {site.slug} created.")
