from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.management.lookup import site_named, user_named
from webapp.dicom.services import sender_set


class Command(BaseCommand):
    help = "Let an application entity send images to a site by C-STORE. Safe to repeat."

    def add_arguments(self, parser) -> None:
        parser.add_argument("site", help="the site's slug")
        parser.add_argument("calling", help="its AE title, or * for any")
        parser.add_argument(
            "--network",
            action="append",
            required=True,
            help="address or network that it sends from, such as 10.20.0.7/32; may be repeated",
        )
        parser.add_argument("--called", default="", help="the AE title it calls (default: DICOM_AE_TITLE)")
        parser.add_argument("--user", help="uploads in this user's name (default: a service account)")
        parser.add_argument("--description", default="")

    def handle(self, *, site: str, calling: str, called: str, network: list[str], **options) -> None:
        try:
            sender = sender_set(
                site=site_named(site),
                calling_title=calling,
                called_title=called,
                networks=network,
                user=user_named(options["user"]) if options["user"] else None,
                description=options["description"],
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        self.stdout.write(f"{sender.calling_title} may send to {sender.site}.")
