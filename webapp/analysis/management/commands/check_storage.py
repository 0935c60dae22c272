"""`manage.py check_storage`: do the rows and the stored files agree? Exit 1 when they do not."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError

from webapp.analysis.stored_files.check import GRACE_SECONDS, check
from webapp.analysis.stored_files.check import remove_orphans as remove
from webapp.analysis.stored_files.repair import SAFE_AGE, repair


class Command(BaseCommand):
    help = "Compare rows and stored files: missing, damaged (with --deep) and orphaned ones."

    def add_arguments(self, parser):
        parser.add_argument("--deep", action="store_true", help="read every file and compare its sha256")
        parser.add_argument("--remove-orphans", action="store_true", help="delete files that no row names")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="remove files that no row has named for a day, make images again from their originals, "
            "and mark what stays missing or damaged",
        )
        parser.add_argument("--grace", type=float, default=GRACE_SECONDS, help="seconds to wait for a row")

    def handle(self, *args, deep: bool, remove_orphans: bool, grace: float, **options):
        if options["repair"] and grace == GRACE_SECONDS:
            grace = SAFE_AGE.total_seconds()
        found = check(deep=deep, grace_seconds=grace)
        for what in ("missing", "damaged", "orphaned"):
            for name in getattr(found, what):
                self.stdout.write(f"{what}: {name}")
        if remove_orphans:
            self.stdout.write(f"{remove(found)} orphaned files removed.")
            found.orphaned = []
        if options["repair"]:
            done = repair(found, deep=deep)
            self.stdout.write(f"{done.removed} orphaned files removed, {done.made_again} files made again.")
        if not found.clean:
            raise CommandError(
                f"Of {found.checked} files {len(found.missing)} are missing, {len(found.damaged)} damaged; "
                f"{len(found.orphaned)} others belong to no row."
            )
        self.stdout.write(f"{found.checked} files, all match their rows.")
