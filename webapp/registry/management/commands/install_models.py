"""`manage.py install_models`: register the shipped models."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webapp.core.errors import CodedError
from webapp.registry.services import models_install


class Command(BaseCommand):
    help = "Register the shipped models as candidates; a new installation activates them. Safe to repeat."

    def add_arguments(self, parser):
        parser.add_argument("folder", nargs="?", type=Path, default=settings.HILUM_ARTIFACTS)

    def handle(self, *args, folder: Path, **options):
        paths = sorted(folder.glob("*.safetensors"))
        if not paths:
            self.stdout.write(f"No model files in {folder}.")
        try:
            for version, activated in models_install(paths):
                self.stdout.write(
                    f"{version} {version.name}: {'now active' if activated else version.status}"
                )
        except CodedError as error:
            raise CommandError(f"{error.message} {error.remedy}") from error
