from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.management.lookup import acting_user, site_named
from webapp.core.errors import CodedError
from webapp.results.kinds import CHOOSABLE, URL_DESTINATIONS, DestinationKind, When
from webapp.results.models import Destination
from webapp.results.selectors import PERMISSION
from webapp.results.services import destination_change, destination_create, rule_create


class Command(BaseCommand):
    help = "Send a site's results to a destination, by one rule. Run again, it replaces address and rules."

    def add_arguments(self, parser) -> None:
        parser.add_argument("site", help="the site's slug")
        parser.add_argument("name", help="how the destination is called on the page")
        parser.add_argument("kind", choices=DestinationKind.values)
        parser.add_argument("address", help="URL (stow, fhir), or HOST:PORT (dicom, hl7)")
        parser.add_argument("--called-ae", default="", help="AE title of the PACS")
        parser.add_argument("--calling-ae", default="HILUM")
        parser.add_argument("--tls", action="store_true")
        parser.add_argument("--credential", default="", help="entry of HILUM_RESULT_CREDENTIALS")
        parser.add_argument("--when", choices=When.values, default=When.AT_ONCE.value)
        parser.add_argument(
            "--object", action="append", choices=[kind.value for kind in CHOOSABLE], default=[]
        )
        parser.add_argument("--finding", action="append", default=[], help="default: any")
        parser.add_argument("--by", help="the acting user")

    def handle(self, *, site: str, name: str, kind: str, **options: Any) -> None:
        actor = acting_user(options["by"], PERMISSION)
        values = {"kind": kind, "tls": options["tls"], **_address(kind, options["address"])}
        values |= {key: options[key] for key in ("called_ae", "calling_ae", "credential")}
        place = site_named(site)
        known = Destination.objects.filter(site=place, name=name, removed=False).first()
        try:
            if known:
                destination = destination_change(destination=known, actor=actor, **values)
                destination.rules.all().delete()
            else:
                destination = destination_create(site=place, actor=actor, name=name, **values)
            rule_create(
                destination=destination,
                actor=actor,
                when=options["when"],
                kinds=options["object"] or ["result"],
                findings=options["finding"],
            )
        except CodedError as error:
            raise CommandError(f"{error.message} {error.remedy}") from error
        self.stdout.write(f"Results of {place} go to {destination.name}, {destination.address}.")


def _address(kind: str, address: str) -> dict[str, Any]:
    if kind in URL_DESTINATIONS:
        return {"url": address}
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise CommandError(f"{address!r} is not HOST:PORT.")
    return {"host": host.strip("[]"), "port": int(port)}
