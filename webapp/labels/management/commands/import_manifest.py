"""`manage.py import_manifest CSV --site S --by USER`: take a manifest and its images in as history."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.management.lookup import site_of, user_named
from webapp.core.errors import CodedError
from webapp.labels.manifests import line_upload, manifest_read, manifest_take, manifests_settle, progress_of
from webapp.labels.models import LineStatus, Manifest

CHUNK = 1 << 20
LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 120.0


class Command(BaseCommand):
    help = (
        "Take a manifest (image,finding,patient; paths relative to it) in as history: images that are not "
        "here yet are uploaded, and every line becomes a label. Safe to repeat."
    )

    def add_arguments(self, parser):
        parser.add_argument("manifest", type=Path)
        parser.add_argument("--site", help="slug of the site; else the user's default one")
        parser.add_argument("--by", required=True, help="user name of the person who answers for it")
        parser.add_argument("--name", default="", help="what the labels are signed as; else the file's name")
        parser.add_argument("--day-zero", type=date.fromisoformat, help="date of offset_days 0")
        parser.add_argument("--dry-run", action="store_true", help="only say what is wrong with which line")
        parser.add_argument("--no-wait", action="store_true", help="leave the labels to the running workers")

    def handle(self, *args, manifest: Path, **options):
        user = user_named(options["by"])
        site = site_of(user, options["site"])
        try:
            data = manifest.read_bytes()
            self._check(manifest, data)
            if options["dry_run"]:
                return
            taken = manifest_take(
                site=site,
                actor=user,
                name=options["name"] or manifest.name,
                data=data,
                day_zero=options["day_zero"],
            )
        except OSError as error:
            raise CommandError(f"{manifest} cannot be read: {error.strerror}.") from error
        except CodedError as error:
            raise CommandError(f"{error.message} {error.remedy}") from error
        self._upload(taken, user, manifest, data)
        if not options["no_wait"]:
            self._wait(taken)
        self._tell(taken)

    def _check(self, manifest: Path, data: bytes) -> None:
        lines, report = manifest_read(data)
        for line in lines:
            if not (manifest.parent / line["image"]).is_file():
                report.is_wrong(line["number"], f"there is no file {line['image']}")
        for number, words in report.wrong:
            self.stderr.write(f"line {number}: {words}")
        if report.wrongs:
            raise CommandError(f"{report.wrongs} of {len(lines)} lines are wrong; nothing was done.")
        counts = ", ".join(f"{n} {what}" for what, n in report.counts.items())
        self.stdout.write(f"{len(lines)} lines: {counts}.")

    def _upload(self, taken: Manifest, user, manifest: Path, data: bytes) -> None:
        # The images' names as the file says them: a site without identity keeps none.
        paths = {line["number"]: manifest.parent / line["image"] for line in manifest_read(data)[0]}
        waiting = list(
            taken.lines.filter(label=None).exclude(status=LineStatus.SILENT).select_related("manifest__site")
        )
        for done, line in enumerate(waiting, 1):
            path = paths[line.number]
            try:
                line_upload(line=line, actor=user, chunks=_chunks(path), filename=path.name)
            except CodedError as error:
                self.stderr.write(f"line {line.number}: {error.message}")
            if done % 100 == 0 or done == len(waiting):
                self.stdout.write(f"{done} of {len(waiting)} handed in")

    def _wait(self, taken: Manifest) -> None:
        """Until every image is read, or nothing has moved for a while."""
        moved = time.monotonic()
        while time.monotonic() - moved < PATIENCE_SECONDS:
            if manifests_settle(Manifest.objects.filter(pk=taken.pk)):
                moved = time.monotonic()
            if not taken.lines.filter(status=LineStatus.WAITING).exists():
                return
            time.sleep(LOOK_SECONDS)
        self.stderr.write("Some images still wait to be read; the running workers will label them.")

    def _tell(self, taken: Manifest) -> None:
        for line in taken.lines.filter(status=LineStatus.WRONG):
            self.stderr.write(f"line {line.number}: {line.problem}")
        counts = progress_of([taken])[taken.pk]
        self.stdout.write(
            f"{counts['labelled']} labelled, {counts['silent']} without a finding, {counts['wrong']} wrong, "
            f"{counts['waiting']} waiting."
        )


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
