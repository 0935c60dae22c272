"""Importing labelled data: each line of a manifest becomes a label of its image.

A line waits until its image is a scan of the site: one that exists already, found by its hash or by file name
and patient, or one that is uploaded with the manifest.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from classifier.data.split import PARTS
from classifier.data.tables.manifest import ManifestLine as Row
from classifier.data.tables.manifest import ManifestTable, Reading, plain_path
from webapp.accounts.models import Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import can, for_sites
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.labels.annotation import check_findings
from webapp.labels.import_export import ImportReport
from webapp.labels.models import Assessment, Label, LabelSource, LineStatus, Manifest, ManifestLine
from webapp.scans.models import Scan, Upload
from webapp.scans.patients.pseudonymity import attributes_for_site, kept_name, known_as
from webapp.scans.services import upload_store
from webapp.scans.uploads.manifest import manifest_read
from webapp.scans.uploads.stated_metadata import StatedMetadata

REQUIRED = ("image", "finding", "patient")
ATTRIBUTES = ("source", "modality", "view", "sex", "age", "offset_days", "split")
SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_LINES = 50_000
AT_ONCE = 500
UNFIT = (Upload.Status.REFUSED, Upload.Status.FAILED)


@dataclass(frozen=True)
class ParsedManifest:
    """The table as it was read, its valid lines as fields of `ManifestLine`, and a report of the others."""

    table: ManifestTable
    lines: list[dict[str, Any]]
    report: ImportReport


class _Invalid(Exception):
    """A value of a line: what is wrong, the column, the value."""


def manifest_parse(
    data: bytes,
    *,
    site: Site,
    name: str = "manifest",
    reading: Reading | None = None,
    fits: Callable[[str], bool] = lambda text: False,
) -> ParsedManifest:
    """Read a CSV with `image,finding,patient`, and optionally `sha256`, `study_date` and `ATTRIBUTES`.

    Raises CodedError `invalid`, `too_large` for anything else.
    """
    table = manifest_read(site=site, data=data, name=name, required=REQUIRED, reading=reading, fits=fits)
    if not 0 < len(table.table.records) <= MAX_LINES:
        raise CodedError("invalid", f"A manifest has 1 to {MAX_LINES} lines.", "Split it.")
    report, lines, images, parts = ImportReport(), [], set(), {}
    for problem in table.problems:
        report.add(problem)
    for row in table.lines:
        try:
            found = _line(row)
            if found["image"] in images:
                raise _Invalid("an earlier line has the same image", "image", found["image"])
            part = found["attributes"].get("split")
            if part and parts.setdefault(found["patient"], part) != part:
                raise _Invalid("an earlier line has this patient in another part of the split", "split", part)
        except _Invalid as wrong:
            report.add_error(row.number, *wrong.args)
            continue
        images.add(found["image"])
        lines.append(found)
        report.counts["with_findings" if found["findings"] else "no_finding"] += 1
    return ParsedManifest(table, lines, report)


@transaction.atomic
def manifest_import(
    *,
    site: Site,
    actor: User,
    name: str,
    data: bytes,
    day_zero: date | None = None,
    reading: Reading | None = None,
    fits: Callable[[str], bool] = lambda text: False,
) -> Manifest:
    """Import a manifest; its lines wait for their images. The same file returns the existing manifest.

    `day_zero` turns `offset_days` into study dates. Raises CodedError `forbidden`, and `invalid` if any
    line is: see `manifest_parse`.
    """
    if not all(can(actor, p, site) for p in (Permission.LABEL_MANAGE, Permission.SCAN_UPLOAD)):
        raise CodedError("forbidden")
    sha256 = hashlib.sha256(data).hexdigest()
    if earlier := Manifest.objects.filter(site=site, sha256=sha256).first():
        return earlier
    parsed = manifest_parse(data, site=site, name=name, reading=reading, fits=fits)
    lines, report = parsed.lines, parsed.report
    if report.error_count:
        first = report.errors[0]
        raise CodedError(
            "invalid", f"{report.error_count} invalid lines; line {first.line}: {first}.", "Correct it."
        )
    vocabulary = sorted({finding for one in lines for finding in one["findings"]})
    manifest = Manifest.objects.create(
        site=site,
        by=actor,
        name=kept_name(site, name, sha256)[:100] or "manifest",
        sha256=sha256,
        findings=vocabulary,
    )
    ManifestLine.objects.bulk_create(
        (ManifestLine(manifest=manifest, **_kept(site, one, day_zero)) for one in lines), batch_size=500
    )
    detail = {"lines": len(lines), "findings": vocabulary}
    record(actor=actor, site=site, action="manifest.imported", subject=manifest, detail=detail)
    return manifest


def line_upload(
    *, line: ManifestLine, actor: User, chunks: Iterable[bytes], filename: str = "", declared: int = 0
) -> Upload:
    """Upload the image of a line; raises what `upload_store` raises.

    A patient conflict marks the line as failed.
    """
    site = line.manifest.site
    if not all(can(actor, p, site) for p in (Permission.LABEL_MANAGE, Permission.SCAN_UPLOAD)):
        raise CodedError("forbidden")
    open_line = ManifestLine.objects.filter(pk=line.pk, label=None)
    known = {name: line.attributes.get(name, "") for name in ("view", "sex", "age")}
    stated = StatedMetadata(
        patient_id=line.patient,
        date=line.taken_on,
        date_relative=line.date_relative,
        **StatedMetadata.usable(**known),
    )
    try:
        upload, _ = upload_store(
            user=actor, site=site, chunks=chunks, filename=filename, stated=stated, declared=declared
        )
    except CodedError as error:
        if error.code == "patient_conflict":
            open_line.update(status=LineStatus.FAILED, problem=error.code)
        raise
    open_line.update(upload=upload, status=LineStatus.WAITING, problem="")
    return upload


def manifests_process(manifests: QuerySet[Manifest] | None = None) -> int:
    """Give the images that have come since the labels of their lines; returns how many lines were settled.

    The sweeper calls it; safe to repeat, and at the same time.
    """
    rows = Manifest.objects.all() if manifests is None else manifests
    waiting = ManifestLine.objects.filter(manifest=OuterRef("pk"), status=LineStatus.WAITING)
    settled = 0
    for manifest in rows.filter(Exists(waiting)).select_related("site", "by").order_by("created_at"):
        _find_uploads(manifest)
        while done := _settle_some(manifest):
            settled += done
    return settled


def manifests_visible(user: User) -> QuerySet[Manifest]:
    return for_sites(Manifest.objects.select_related("site", "by"), user, Permission.LABEL_MANAGE)


def progress_of(manifests: Iterable[Manifest]) -> dict[Any, dict[str, int]]:
    """For each manifest its lines by status, and how many are `missing` their image."""
    keys = [manifest.pk for manifest in manifests]
    progress = {key: dict.fromkeys([*LineStatus.values, "missing"], 0) for key in keys}
    unseen = Count("pk", filter=Q(status=LineStatus.WAITING, upload=None))
    rows = ManifestLine.objects.filter(manifest__in=keys).order_by().values("manifest", "status")
    for row in rows.annotate(n=Count("pk"), missing=unseen):
        progress[row["manifest"]][row["status"]] = row["n"]
        progress[row["manifest"]]["missing"] += row["missing"]
    return progress


@transaction.atomic
def _find_uploads(manifest: Manifest) -> None:
    """Compare the lines without an image with the uploads, if any have come since the last time."""
    manifest = Manifest.objects.select_for_update(no_key=True).select_related("site").get(pk=manifest.pk)
    uploads = Upload.objects.filter(site=manifest.site)
    now = timezone.now()
    if manifest.looked_at and not uploads.filter(created_at__gt=manifest.looked_at).exists():
        return
    lines = list(manifest.lines.filter(status=LineStatus.WAITING, upload=None))
    by_sum = {}
    sums = [line.sha256 for line in lines if line.sha256]
    for at in range(0, len(sums), AT_ONCE):
        by_sum |= dict(uploads.filter(sha256__in=sums[at : at + AT_ONCE]).values_list("sha256", "pk"))
    named = _by_name(uploads, [line for line in lines if line.image and line.sha256 not in by_sum])
    found = []
    for line in lines:
        line.upload_id = by_sum.get(line.sha256) or named.get((_file_name(line.image), line.patient))
        if line.upload_id:
            found.append(line)
    ManifestLine.objects.bulk_update(found, ["upload"], batch_size=AT_ONCE)
    # Overlap: an upload that was committed in the meantime is examined again.
    manifest.looked_at = now - timedelta(seconds=30)
    manifest.save(update_fields=["looked_at"])


def _by_name(uploads: QuerySet[Upload], lines: list[ManifestLine]) -> dict[tuple[str, str], Any]:
    """Uploads by file name and patient (stated or assigned), where that pair is unique."""
    found: dict[tuple[str, str], set[Any]] = {}
    patients = sorted({line.patient for line in lines})
    for at in range(0, len(patients), AT_ONCE):
        part = patients[at : at + AT_ONCE]
        filed = F("scans__series__study__patient__patient_id")
        theirs = uploads.filter(
            Q(stated_patient_id__in=part) | Q(scans__series__study__patient__patient_id__in=part)
        )
        for key, name, stated, patient in theirs.values_list("pk", "filename", "stated_patient_id", filed):
            for one in {stated, patient} - {"", None}:
                found.setdefault((_file_name(name), one), set()).add(key)
    times = Counter((_file_name(line.image), line.patient) for line in lines)
    return {
        key: next(iter(some)) for key, some in found.items() if key[0] and len(some) == 1 and times[key] == 1
    }


def _file_name(path: str) -> str:
    """The last part of a path in one Unicode form: macOS writes ö as two characters."""
    return unicodedata.normalize("NFC", PurePosixPath(path).name)


@transaction.atomic
def _settle_some(manifest: Manifest) -> int:
    Manifest.objects.select_for_update(no_key=True).get(pk=manifest.pk)
    ready = Q(upload__status=Upload.Status.DONE) | Q(upload__status__in=UNFIT)
    lines = list(
        manifest.lines.filter(ready, status=LineStatus.WAITING)
        .select_related("upload")
        .prefetch_related("upload__scans")[:AT_ONCE]
    )
    scans = {line.pk: list(line.upload.scans.all()) for line in lines if line.upload}
    keys = [scan.pk for some in scans.values() for scan in some]
    imported = Label.objects.filter(scan__in=keys, source=LabelSource.IMPORT, signed_as=manifest.name)
    last = {label.scan_id: label for label in imported.filter(superseded_by=None)}
    fresh: list[Label] = []
    for line in lines:
        _settle(manifest, line, scans.get(line.pk, []), last, fresh)
    Label.objects.bulk_create(fresh, batch_size=AT_ONCE)
    ManifestLine.objects.bulk_update(lines, ["status", "problem", "label"], batch_size=AT_ONCE)
    if fresh:
        detail = {"manifest": str(manifest.pk), "labels": len(fresh)}
        record(
            actor=manifest.by, site=manifest.site, action="labels.imported", subject=manifest, detail=detail
        )
    return len(lines)


def _settle(
    manifest: Manifest, line: ManifestLine, scans: list[Scan], last: dict[Any, Label], fresh: list[Label]
) -> None:
    """Set the status of a line whose upload has finished; a new label is added to `fresh`."""
    line.status = LineStatus.FAILED
    if line.upload and line.upload.status in UNFIT:
        line.problem = line.upload.refusal or line.upload.error_code or "failed"
        return
    if len(scans) != 1:
        line.problem = "several_images" if scans else "no_image"
        return
    if not line.findings:
        line.status = LineStatus.NO_FINDING
        return
    scan = scans[0]
    words = {
        finding: (Assessment.PRESENT if finding in line.findings else Assessment.ABSENT).value
        for finding in manifest.findings
    }
    earlier = last.get(scan.pk)
    line.status, line.label = LineStatus.LABELLED, earlier
    if earlier is None or (earlier.findings, earlier.attributes) != (words, line.attributes):
        if earlier is not None and earlier._state.adding:
            line.status, line.label, line.problem = LineStatus.FAILED, None, "conflicting_lines"
            return
        label = Label(
            site=manifest.site,
            scan=scan,
            reader=manifest.by,
            signed_as=manifest.name,
            source=LabelSource.IMPORT,
            findings=words,
            attributes=line.attributes,
            supersedes=earlier,
        )
        fresh.append(label)
        last[scan.pk] = line.label = label


def _line(row: Row) -> dict[str, Any]:
    """The fields of a line; raises _Invalid."""
    image, patient, sha256 = plain_path(row.get("image")), row.get("patient"), row.get("sha256").lower()
    for column, value, most in (("image", image, 255), ("patient", patient, 64)):
        if not value:
            raise _Invalid(f"{column} must not be empty", column, "")
        if len(value) > most or not value.isprintable():
            raise _Invalid(f"{column} has at most {most} characters, all printable", column, value)
    findings = sorted({part.strip() for part in row.get("finding").split("|")} - {""})
    if findings:
        try:
            check_findings(dict.fromkeys(findings, Assessment.PRESENT.value))
        except CodedError as error:
            raise _Invalid(error.message.rstrip("."), "finding", row.get("finding")) from error
    if sha256 and not SHA256.fullmatch(sha256):
        raise _Invalid("sha256 is 64 hexadecimal digits", "sha256", sha256)
    if (part := row.get("split")) not in ("", *PARTS):
        raise _Invalid(f"split is one of {', '.join(PARTS)}, or empty", "split", part)
    return {
        "number": row.number,
        "image": image,
        "sha256": sha256,
        "patient": patient,
        "findings": findings,
        "attributes": {name: value[:100] for name in ATTRIBUTES if (value := row.get(name))},
        "taken_on": row.date,
        "offset_days": row.offset_days,
    }


def _kept(site: Site, line: dict[str, Any], day_zero: date | None) -> dict[str, Any]:
    """What the site may keep of a line: without identity, no file name, date, identifier or text."""
    kept = {name: value for name, value in line.items() if name != "offset_days"}
    if site.deidentify_on_ingest:
        kept |= {"image": "", "taken_on": None, "patient": known_as(site, line["patient"])}
        return kept | {"attributes": attributes_for_site(site, line["attributes"])}
    if line["taken_on"] is None and day_zero and line["offset_days"] is not None:
        return kept | {"taken_on": day_zero + timedelta(days=line["offset_days"]), "date_relative": True}
    return kept
