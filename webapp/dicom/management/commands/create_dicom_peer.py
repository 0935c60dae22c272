from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.management.lookup import site_named
from webapp.dicom.models import Retrieve
from webapp.dicom.services import peer_set


class Command(BaseCommand):
    help = "Name a system that this server calls: a PACS with priors, or one that awaits commitment reports."

    def add_arguments(self, parser) -> None:
        parser.add_argument("site", help="the site's slug")
        parser.add_argument("name", help="short name, such as pacs")
        parser.add_argument("--title", default="", help="its AE title")
        parser.add_argument("--host", default="")
        parser.add_argument("--port", type=int)
        parser.add_argument("--tls", action="store_true")
        parser.add_argument("--url", default="", help="its DICOMweb service, such as https://pacs/dicom-web")
        parser.add_argument("--credential", default="", help="name of an entry of DICOM_CREDENTIALS")
        parser.add_argument("--retrieve", default="", choices=[one.value for one in Retrieve if one.value])
        parser.add_argument("--automatic", action="store_true", help="fetch priors when an image arrives")
        parser.add_argument("--modality", action="append", help="may be repeated (default: CR, DX)")
        parser.add_argument("--most-studies", type=int, default=5)
        parser.add_argument("--years", type=int, default=10)
        parser.add_argument("--reports-for", default="", help="calling AE title of a sender at the site")

    def handle(self, *, site: str, name: str, **options) -> None:
        kept = ("title", "host", "port", "tls", "url", "credential", "retrieve", "automatic")
        values = {key: options[key] for key in (*kept, "most_studies", "years")}
        if options["modality"]:
            values["modalities"] = options["modality"]
        try:
            peer = peer_set(
                site=site_named(site), name=name, reports_for=options["reports_for"], values=values
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        self.stdout.write(f"{peer.name} is a peer of {peer.site}.")
