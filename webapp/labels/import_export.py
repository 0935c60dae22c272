"""Import and export of labels as CSV, one line a label; importing an export changes nothing."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from classifier.contract import DISCLAIMER
from classifier.data.tables.table import Problem, Record
from webapp.accounts.models import Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.http.json_body import parse_json
from webapp.core.spreadsheets import MARK, line, table_of
from webapp.labels.annotation import CONTENT, LabelContent, check, name_of
from webapp.labels.models import Assessment, Label, LabelSource
from webapp.labels.queue_progress import labels_visible
from webapp.scans.models import Scan

COLUMNS = (
    "label", "scan", "sha256", "reader", "source", "queue", "created_at", "blind", *Assessment.values,
    "confidence", "indeterminate", "unusable", "regions", "comment", "reason", "current", "notice",
)  # fmt: skip
MAX_REPORTED = 200
BOOLEANS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}


@dataclass
class ImportReport:
    """Numbers of lines by outcome; `errors`: the first problems by line, of `error_count`."""

    counts: Counter[str] = field(default_factory=Counter)
    errors: list[Problem] = field(default_factory=list)
    error_count: int = 0

    def add(self, problem: Problem) -> None:
        self.error_count += 1
        self.errors = sorted([*self.errors, problem], key=lambda one: one.line)[:MAX_REPORTED]

    def add_error(self, line: int, text: str, column: str = "", value: str = "") -> None:
        self.add(Problem(line, text, column, value))


def labels_to_export(user: User, site: Site) -> tuple[QuerySet[Label], int]:
    """The site's labels that the user may export, and how many are withheld to keep the user blind."""
    visible = labels_visible(user).filter(site=site)
    return visible, Label.objects.filter(site=site).count() - visible.count()


def lines(labels: QuerySet[Label]) -> Iterator[str]:
    """CSV lines, the heading first; no patient's name or identifier is in them.

    Readers whose names `labels_visible` hides have a number, the same throughout the file.
    """
    yield MARK + line(COLUMNS)
    numbers: dict[uuid.UUID, int] = {}
    rows = labels.select_related("scan__upload", "queue", "superseded_by").order_by("created_at", "pk")
    for label in rows.iterator(chunk_size=2000):
        hidden = getattr(label, "hides_reader", False)
        number = numbers.setdefault(label.reader_id, len(numbers) + 1) if hidden else 0
        yield line(_cells(label, f"Reader {number}" if hidden else label.signed_as))


def export_recorded(*, actor: User, site: Site, count: int) -> None:
    """Record an export in the audit log."""
    record(actor=actor, site=site, action="labels.exported", detail={"labels": count})


def labels_import(
    *, site: Site, actor: User, data: bytes, name: str = "table", dry_run: bool = False
) -> ImportReport:
    """Import labels, all or none; a line names its scan by `scan` or `sha256` (of the uploaded file).

    A known label changes nothing; another one of the same `reader` supersedes their earlier one. `dry_run`
    only reports. Raises CodedError `forbidden`, `invalid`.
    """
    demand(actor, Permission.LABEL_MANAGE, site)
    table = table_of(data, name)
    with transaction.atomic():
        report, fresh = _planned(site, actor, table.records)
        for problem in table.problems:
            report.add(problem)
        if dry_run or report.error_count or not fresh:
            return report
        Label.objects.bulk_create(fresh, batch_size=500)
        detail = {"new": report.counts["new"], "changed": report.counts["changed"]}
        record(actor=actor, site=site, action="labels.imported", detail=detail)
    return report


def _planned(site: Site, actor: User, rows: Sequence[Record]) -> tuple[ImportReport, list[Label]]:
    """The report, and the labels to add."""
    report, scans, fresh = ImportReport(), _scans(site, rows), []
    inside = Label.objects.filter(site=site, scan__in={scan.pk for scan in scans.values()})
    known = set(map(str, inside.values_list("pk", flat=True)))
    last = {
        (label.scan_id, label.signed_as): label
        for label in inside.filter(source=LabelSource.IMPORT, superseded_by=None)
    }
    for row in rows:
        if row.get("label") in known or row.get("current", "yes") == "no":
            report.counts["unchanged" if row.get("label") in known else "skipped"] += 1
            continue
        try:
            label = _label(site, actor, row, scans)
        except CodedError as error:
            report.add_error(row.line, error.message)
            continue
        key = (label.scan_id, label.signed_as)
        earlier = last.get(key)
        if earlier and all(getattr(earlier, name) == getattr(label, name) for name in CONTENT):
            report.counts["unchanged"] += 1
            continue
        if earlier and earlier._state.adding:
            report.add_error(row.line, "Another line labels the same image differently for the same reader.")
            continue
        label.supersedes, last[key] = earlier, label
        report.counts["changed" if earlier else "new"] += 1
        fresh.append(label)
    return report, fresh


def _scans(site: Site, rows: Sequence[Record]) -> dict[str, Scan]:
    """The site's scans that the lines name, by id and by the hash of the file that they came in."""
    ids = {row["scan"] for row in rows if _is_uuid(row.get("scan", ""))}
    sums = {row["sha256"].lower() for row in rows if row.get("sha256")}
    found: dict[str, Scan] = {}
    for part in _parts(sorted(ids)):
        found |= {str(scan.pk): scan for scan in Scan.objects.filter(site=site, pk__in=part)}
    several: Counter[str] = Counter()
    for part in _parts(sorted(sums)):
        for scan in Scan.objects.filter(site=site, upload__sha256__in=part).select_related("upload"):
            several[scan.upload.sha256] += 1
            found[scan.upload.sha256] = scan
    return {key: scan for key, scan in found.items() if several[key] < 2}


def _label(site: Site, actor: User, row: Mapping[str, str], scans: Mapping[str, Scan]) -> Label:
    scan = scans.get(row.get("scan", "").lower()) or scans.get(row.get("sha256", "").lower())
    if scan is None:
        raise CodedError("invalid", "No image of this site has this scan ID or sha256.")
    words: dict[str, str] = {}
    for word in Assessment.values:
        for finding in filter(None, (part.strip() for part in row.get(word, "").split("|"))):
            if finding in words:
                raise CodedError("invalid", f"{finding} is both {words[finding]} and {word}.")
            words[finding] = word
    content = LabelContent(
        findings=words,
        confidence=_confidence(row.get("confidence", "")),
        regions=_regions(row.get("regions", "")),
        comment=row.get("comment", ""),
        indeterminate=_boolean(row, "indeterminate"),
        unusable=_boolean(row, "unusable"),
    )
    check(content, scan)
    signed_as = " ".join(row.get("reader", "").split()) or name_of(actor)
    if len(signed_as) > 200:
        raise CodedError("invalid", "A reader's name has at most 200 characters.")
    return Label(
        site=site,
        scan=scan,
        reader=actor,
        signed_as=signed_as,
        source=LabelSource.IMPORT,
        blind=_boolean(row, "blind", default=True),
        **content.columns,
    )


def _confidence(text: str) -> int | None:
    if text in ("", "1", "2", "3"):
        return int(text) if text else None
    raise CodedError("invalid", "Confidence is 1 (low), 2 or 3 (high), or empty.")


def _regions(text: str) -> list[dict[str, Any]]:
    try:
        boxes = parse_json(text or "[]")
    except ValueError:
        boxes = None
    if not isinstance(boxes, list) or not all(isinstance(box, dict) for box in boxes):
        raise CodedError("invalid", "regions is a JSON list of boxes, or empty.")
    return boxes


def _boolean(row: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    text = row.get(name, "").lower()
    if text not in BOOLEANS:
        raise CodedError("invalid", f"{name} is yes or no.")
    return BOOLEANS[text] if text else default


def _cells(label: Label, reader: str) -> Iterable[object]:
    by_word = {
        word: "|".join(sorted(f for f, w in label.findings.items() if w == word))
        for word in Assessment.values
    }
    return (
        label.pk,
        label.scan_id,
        label.scan.upload.sha256,
        reader,
        label.source,
        label.queue.name if label.queue else "",
        f"{label.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "yes" if label.blind else "no",
        *by_word.values(),
        label.confidence,
        "yes" if label.indeterminate else "no",
        "yes" if label.unusable else "no",
        json.dumps(label.regions) if label.regions else "",
        label.comment,
        label.reason,
        "no" if hasattr(label, "superseded_by") else "yes",
        DISCLAIMER,
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _parts(keys: list[str], size: int = 500) -> Iterator[list[str]]:
    return (keys[at : at + size] for at in range(0, len(keys), size))
