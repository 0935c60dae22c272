from __future__ import annotations

from argparse import BooleanOptionalAction

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.models import Site, deidentify_by_default


class Command(BaseCommand):
    help = "Create a site (a hospital or a department)."

    def add_arguments(self, parser) -> None:
        parser.add_argument("slug", help="short name, such as st-anna")
        parser.add_argument("name", help="full name")
        parser.add_argument("--timezone", default="UTC", help="such as Europe/Berlin")
        parser.add_argument(
            "--deidentify",
            action=BooleanOptionalAction,
            default=deidentify_by_default(),
            help="remove identity from files as they arrive (default: DEIDENTIFY_ON_INGEST)",
        )

    def handle(self, *, slug: str, name: str, timezone: str, deidentify: bool, **options) -> None:
        site = Site(slug=slug, name=name, timezone=timezone, deidentify_on_ingest=deidentify)
        try:
            site.full_clean()
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        site.save()
        self.stdout.write(f"Site {site.slug} created.")
