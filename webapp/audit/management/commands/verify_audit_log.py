from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from webapp.audit.verification import Anchor, ends, verify


class Command(BaseCommand):
    help = (
        "Check every event of the audit log and its chains. Prints the ends of the chains as JSON lines: "
        "keep them outside this database and give them to a later run."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument(
            "--against", type=Path, metavar="FILE", help="ends that an earlier run has printed"
        )

    def handle(self, *, against: Path | None, **options) -> None:
        anchors = _anchors(against) if against else []
        now = ends()
        found = 0
        for discrepancy in verify(anchors):
            found += 1
            self.stderr.write(str(discrepancy))
        if found:
            raise CommandError(f"The audit log was tampered with: {found} discrepancies.")
        for end in now:
            self.stdout.write(json.dumps(asdict(end)))


def _anchors(file: Path) -> list[Anchor]:
    try:
        return [Anchor(**json.loads(line)) for line in file.read_text().splitlines() if line.strip()]
    except (OSError, ValueError, TypeError) as error:
        raise CommandError(f"{file} does not hold ends that this command has printed: {error}") from error
