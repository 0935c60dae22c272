"""`manage.py restore DIR`: a backup into an empty system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from webapp.backup.management.passphrase import passphrase
from webapp.backup.restoring import RESTORED, restore
from webapp.core.errors import CodedError


class Command(BaseCommand):
    help = "Restore the newest backup of a folder into an empty database and data folder, and check it."
    # The tables come with the backup.
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--backup", default="", metavar="NAME", help="another than the newest")
        parser.add_argument("--without-secrets", action="store_true", help="leave keys and credentials out")

    def handle(self, *args: Any, folder: Path, backup: str, without_secrets: bool, **options: Any) -> None:
        try:
            secret = passphrase(without_secrets=without_secrets, twice=False)
            restored, changed = restore(folder.absolute(), name=backup, passphrase=secret)
        except CodedError as error:
            raise CommandError(f"{error.code}: {error.message} {error.remedy}") from error
        manifest = restored.manifest
        self.stdout.write(
            f"Restored {manifest.name}: {manifest.files} files, {sum(manifest.counts.values())} rows. "
            "Hashes, counts and audit log are those of the backup."
        )
        if changed:
            self.stdout.write(
                f"Before you start Hilum, set these as in {RESTORED} of the data folder, then delete "
                f"that file: {', '.join(changed)}."
            )
        for name, problem in manifest.problems:
            self.stderr.write(f"{problem} when the backup was made: {name}")
