from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.management.lookup import site_named
from webapp.core.errors import CodedError
from webapp.dicom.models import Peer, Retrieve
from webapp.dicom.priors import priors_request
from webapp.scans.patients.identity import patients_meant


class Command(BaseCommand):
    help = "Queue the retrieval of a patient's priors from the site's PACS."

    def add_arguments(self, parser) -> None:
        parser.add_argument("site", help="the site's slug")
        parser.add_argument("patient", help="the patient identifier")
        parser.add_argument("--peer", help="name of the peer (default: all that serve priors)")

    def handle(self, *, site: str, patient: str, peer: str | None, **options) -> None:
        where = site_named(site)
        known = patients_meant(site=where, identifiers=[patient]).get(patient)
        if known is None:
            raise CommandError("This patient is not known at the site, or more than one is.")
        peers = Peer.objects.filter(site=where, active=True).exclude(retrieve=Retrieve.NONE)
        chosen = list(peers.filter(name=peer) if peer else peers)
        if not chosen:
            raise CommandError("The site has no such peer; see create_dicom_peer.")
        for one in chosen:
            try:
                priors_request(patient=known, peer=one)
            except CodedError as error:
                raise CommandError(f"{error.message} {error.remedy}") from error
            self.stdout.write(f"{one.name}: queued")
