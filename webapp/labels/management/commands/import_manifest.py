"""`manage.py import_manifest CSV`: import images and labels listed in a manifest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from classifier.data.tables.manifest import Reading, existing_file, naming_files
from classifier.text_encoding import LABELS
from webapp.accounts.management.lookup import acting_user, site_of
from webapp.accounts.models import User
from webapp.core.errors import CodedError
from webapp.labels.manifests import (
    ParsedManifest,
    line_upload,
    manifest_import,
    manifest_parse,
    manifests_process,
    progress_of,
)
from webapp.labels.models import LineStatus, Manifest

CHUNK = 1 << 20
POLL_SECONDS = 1.0
TIMEOUT_SECONDS = 120.0


class Command(BaseCommand):
    help = (
        "Import a manifest (CSV with image,finding,patient; image paths relative to it): uploads missing "
        "images and creates a label for every line. Running it again changes nothing."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("manifest", type=Path)
        parser.add_argument("--site", help="slug of the site (default: the user's default site)")
        parser.add_argument("--by", help="user name of the importing person (default: the only one who may)")
        parser.add_argument("--name", default="", help="name that signs the labels (default: the file's)")
        parser.add_argument("--day-zero", type=date.fromisoformat, help="calendar date of offset_days 0")
        parser.add_argument(
            "--date-order",
            default="",
            choices=["dmy", "mdy"],
            help="order of 05/03/2024 (default: the site's)",
        )
        parser.add_argument("--encoding", default="", choices=sorted(LABELS), help="default: detected")
        parser.add_argument("--dry-run", action="store_true", help="only check the manifest")
        parser.add_argument("--no-wait", action="store_true", help="do not wait for the images")

    def handle(self, *args, manifest: Path, **options) -> None:
        user = acting_user(options["by"], "label.manage")
        site = site_of(user, options["site"])
        reading = Reading(options["date_order"], options["encoding"])
        fits = naming_files(manifest.parent)
        try:
            data = manifest.read_bytes()
            parsed = manifest_parse(data, site=site, name=manifest.name, reading=reading, fits=fits)
            paths = self._check(manifest, parsed)
            if options["dry_run"]:
                return
            imported = manifest_import(
                site=site,
                actor=user,
                name=options["name"] or manifest.name,
                data=data,
                day_zero=options["day_zero"],
                reading=reading,
                fits=fits,
            )
        except OSError as error:
            raise CommandError(f"Cannot read {manifest}: {error.strerror}.") from error
        except CodedError as error:
            raise CommandError(f"{error.message} {error.remedy}") from error
        # A site that keeps no identity does not store the paths.
        self._upload(imported, user, paths)
        if not options["no_wait"]:
            self._wait(imported)
        self._report(imported)

    def _check(self, manifest: Path, parsed: ParsedManifest) -> dict[int, Path]:
        """The files by line; prints how the manifest was read and what is wrong with it."""
        lines, report, paths = parsed.lines, parsed.report, {}
        for line in lines:
            path = existing_file(manifest.parent, line["image"])
            if path:
                paths[line["number"]] = path
            else:
                report.add_error(line["number"], "file not found", "image", line["image"])
        table = parsed.table.table
        if table.encoding_guessed:
            self.stderr.write(f"Read as {LABELS[table.encoding]}, a guess: state another with --encoding.")
        for problem in report.errors:
            self.stderr.write(problem.at(manifest.name))
        if report.error_count:
            raise CommandError(f"{report.error_count} invalid lines; nothing was imported.")
        counts = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in report.counts.items())
        self.stdout.write(f"{len(lines)} lines: {counts}.")
        return paths

    def _upload(self, imported: Manifest, user: User, paths: dict[int, Path]) -> None:
        missing = imported.lines.filter(label=None).exclude(status=LineStatus.NO_FINDING)
        waiting = list(missing.select_related("manifest__site"))
        for done, line in enumerate(waiting, 1):
            path = paths[line.number]
            try:
                line_upload(line=line, actor=user, chunks=_chunks(path), filename=path.name)
            except CodedError as error:
                self.stderr.write(f"line {line.number}: {error.message}")
            if done % 100 == 0 or done == len(waiting):
                self.stdout.write(f"{done} of {len(waiting)} images uploaded")

    def _wait(self, imported: Manifest) -> None:
        """Until every image is processed, or nothing has changed for a while."""
        changed = time.monotonic()
        while time.monotonic() - changed < TIMEOUT_SECONDS:
            if manifests_process(Manifest.objects.filter(pk=imported.pk)):
                changed = time.monotonic()
            if not imported.lines.filter(status=LineStatus.WAITING).exists():
                return
            time.sleep(POLL_SECONDS)
        self.stderr.write("Some images are still queued; they are labelled once they are processed.")

    def _report(self, imported: Manifest) -> None:
        for line in imported.lines.filter(status=LineStatus.FAILED):
            self.stderr.write(f"line {line.number}: {line.problem}")
        counts = progress_of([imported])[imported.pk]
        self.stdout.write(
            f"{counts['labelled']} labelled, {counts['no_finding']} without a finding, "
            f"{counts['failed']} failed, {counts['waiting']} waiting."
        )


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
