"""`manage.py backup DIR`: one more backup in this folder, or `--verify` of those that are in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from webapp.backup.management.passphrase import passphrase
from webapp.backup.repository import Repository
from webapp.backup.services import backup_now
from webapp.backup.verification import verify
from webapp.core.errors import CodedError


class Command(BaseCommand):
    help = (
        "Back up database, files and models while Hilum runs, with the secrets under a passphrase "
        "(HILUM_BACKUP_PASSPHRASE, or typed). Files that the folder has already are not copied again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--verify", action="store_true", help="compute every hash of the backups there again"
        )
        parser.add_argument("--keep", type=int, metavar="N", help="then remove all but the newest N")
        parser.add_argument("--without-secrets", action="store_true", help="leave keys and credentials out")

    def handle(
        self, *args: Any, folder: Path, keep: int | None, without_secrets: bool, **options: Any
    ) -> None:
        if keep is not None and keep < 1:
            raise CommandError("--keep takes a number from 1.")
        try:
            if options["verify"]:
                return self._verify(Repository(folder.absolute()))
            secret = passphrase(without_secrets=without_secrets, twice=True)
            made = backup_now(folder=folder.absolute(), passphrase=secret, keep=keep)
        except CodedError as error:
            raise CommandError(f"{error.code}: {error.message} {error.remedy}") from error
        manifest = made.backup.manifest
        self.stdout.write(
            f"Backup {manifest.name}: {manifest.files} files, {manifest.size} bytes, {made.added} new."
        )
        if made.pruned:
            self.stdout.write(f"{made.pruned} old backups removed.")
        for name, problem in manifest.problems:
            self.stderr.write(f"{problem}: {name}")
        if manifest.problems:
            raise CommandError(
                f"{len(manifest.problems)} files are not in the backup: run check_storage --deep."
            )

    def _verify(self, repository: Repository) -> None:
        found = 0
        for line in verify(repository):
            found += 1
            self.stderr.write(line)
        if found:
            raise CommandError(f"backup_damaged: {found} parts are missing or damaged; make a new backup.")
        self.stdout.write(f"{len(repository.complete())} backups, all as they were written.")
