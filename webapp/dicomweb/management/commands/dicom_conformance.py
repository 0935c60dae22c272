from __future__ import annotations

from django.core.management.base import BaseCommand

from webapp.dicomweb.conformance import statement


class Command(BaseCommand):
    help = "Print docs/dicom-conformance.md: the DICOM conformance statement, by the tables of the code."

    def handle(self, **options) -> None:
        self.stdout.write(statement(), ending="")
