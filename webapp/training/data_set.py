"""Which labelled scans make a data set, and in which part each patient is."""

from __future__ import annotations

import csv
import io
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from classifier.data.split import PARTS, assign
from webapp.accounts.models import Site
from webapp.core import storage
from webapp.core.spreadsheets import guarded
from webapp.labels.selectors import INCONCLUSIVE, OTHER, ground_truth, imported_attributes
from webapp.registry.selectors import active_models
from webapp.scans.models import Scan
from webapp.scans.selectors import patient_age
from webapp.training.models import PatientSplit, TestSetScan

COLUMNS = (
    "image", "finding", "patient", "source", "modality", "view", "sex", "age", "split", "sha256",
)  # fmt: skip
UNSETTLED, SEVERAL, NONE_OF_THEM, SHOWN_FIRST = "unsettled", "several", "none_of_them", "not_blind"
OLDEST = 90  # years: who is older stands out


@dataclass(frozen=True)
class Labelled:
    """A scan with its agreed findings; `blind`: as labelled before any result was shown."""

    scan: Scan
    findings: tuple[str, ...]
    blind: tuple[str, ...] | None
    attributes: Mapping[str, Any]
    part: str = ""

    @property
    def patient(self) -> UUID:
        return self.scan.series.study.patient_id

    @property
    def source(self) -> str:
        return str(self.attributes.get("source") or self.scan.site.slug)


@dataclass(frozen=True)
class DataSet:
    """The rows in order, who is called what, and how many scans were left out for which reason."""

    findings: tuple[str, ...]
    rows: Sequence[Labelled]
    names: Mapping[UUID, str]
    parts: Mapping[UUID, str]
    left_out: Mapping[str, int]


def data_set(*, site: Site | None, slot: str) -> DataSet:
    """What a snapshot made now would hold; writes nothing."""
    sites = [site] if site else list(Site.objects.order_by("pk"))
    truths = {one: ground_truth(site=one) for one in sites}
    findings = findings_for(slot, truths.values())
    left_out: Counter[str] = Counter()
    rows = [row for one in sites for row in _labelled(one, slot, findings, truths[one], left_out)]
    names, parts = _patients(rows)
    rows = [row for row in (_in_part(row, parts[row.patient], left_out) for row in rows) if row]
    return DataSet(findings, sorted(rows, key=lambda row: row.scan.pk), names, parts, dict(left_out))


def findings_for(slot: str, references: Iterable[Mapping[UUID, Mapping[str, str | None]]]) -> tuple[str, ...]:
    """Those of the active model that anybody found, in its order; without a model all that anybody found."""
    found = {
        finding
        for of_site in references
        for reference in of_site.values()
        for finding, word in reference.items()
        if word == "present"
    } - {OTHER, INCONCLUSIVE}
    active = active_models().get(slot)
    ordered = [f for f in active.model_spec.findings if f in found] if active else sorted(found)
    return tuple(ordered)


def settled(reference: Mapping[str, str | None], findings: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The findings that are present, or why the scan cannot be learned from. Unknown is not absent.

    One present finding settles a scan of findings that exclude each other; one that was asked for and is
    unknown leaves it open.
    """
    if any(finding in reference and reference[finding] is None for finding in findings):
        return (), UNSETTLED
    present = tuple(finding for finding in findings if reference.get(finding) == "present")
    if len(present) != 1:
        return (), SEVERAL if present else NONE_OF_THEM
    return present, ""


def _labelled(
    site: Site,
    slot: str,
    findings: Sequence[str],
    references: Mapping[UUID, Mapping[str, str | None]],
    left_out: Counter[str],
) -> Iterable[Labelled]:
    blind, attributes = ground_truth(site=site, blind_only=True), imported_attributes(site=site)
    scans = Scan.objects.filter(site=site, slot=slot, labels__isnull=False).distinct()
    for scan in scans.select_related("site", "series__study__patient").iterator():
        if scan.pk not in references:
            continue
        present, reason = settled(references[scan.pk], findings)
        if reason:
            left_out[reason] += 1
            continue
        before, _ = settled(blind.get(scan.pk, {}), findings)
        yield Labelled(scan, present, before or None, attributes.get(scan.pk, {}))


def _in_part(row: Labelled, part: str, left_out: Counter[str]) -> Labelled | None:
    """What a model is tested on was labelled before any model was shown."""
    if part != "test":
        return replace(row, part=part)
    if row.blind is None:
        left_out[SHOWN_FIRST] += 1
        return None
    return replace(row, part=part, findings=row.blind)


def _patients(rows: Sequence[Labelled]) -> tuple[dict[UUID, str], dict[UUID, str]]:
    """Pseudonym and part of each patient: as they have them, else a new name, and a part by stratum."""
    patients = {row.patient for row in rows}
    known = {one.patient_id: one for one in PatientSplit.objects.filter(patient__in=patients)}
    names = {p: known[p].pseudonym if p in known else f"p-{secrets.token_hex(10)}" for p in patients}
    tested = set(
        TestSetScan.objects.filter(scan__series__study__patient__in=patients).values_list(
            "scan__series__study__patient", flat=True
        )
    )
    blind = {row.patient for row in rows if row.blind}
    # Who was labelled only after a model was shown can test none.
    given = {p: "" if p in blind else "train" for p in patients}
    given |= {p: one.part for p, one in known.items()} | dict.fromkeys(tested, "test")
    for row in rows:
        asked = str(row.attributes.get("split") or "")
        if row.patient in blind and row.patient not in {*known, *tested} and asked in PARTS:
            given[row.patient] = "test" if "test" in (asked, given[row.patient]) else asked
    parts = assign(
        [names[row.patient] for row in rows],
        ["|".join((row.source, *row.findings)) for row in rows],
        seed=0,
        given=[given[row.patient] or None for row in rows],
    )
    return names, {row.patient: part for row, part in zip(rows, parts, strict=True)}


def as_csv(data: DataSet, folder: str) -> bytes:
    """The manifest of `classifier.data.manifest`, its paths relative to `folder` (of the store)."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in data.rows:
        # The name of a source and a view are text of a manifest or a header.
        table.writerow(map(guarded, _line(row, data.names[row.patient], folder)))
    return text.getvalue().encode()


def _line(row: Labelled, name: str, folder: str) -> list[str]:
    scan, attributes = row.scan, row.attributes
    path = os.path.relpath(storage.path_of(scan.working_name), storage.root() / folder)
    age = attributes.get("age") or patient_age(scan)
    age = min(age, OLDEST) if isinstance(age, int | float) else age
    return [
        path,
        "|".join(row.findings),
        name,
        row.source,
        scan.series.modality,
        str(attributes.get("view") or scan.view_position or ""),
        str(attributes.get("sex") or scan.patient.sex or ""),
        f"{age:.1f}" if isinstance(age, float) else str(age or ""),
        row.part,
        scan.working_sha256,
    ]


def counts_of(data: DataSet) -> dict[str, Any]:
    """Images and patients on the whole, by part and by finding, and what was left out."""
    parts = {}
    for part in PARTS:
        rows = [row for row in data.rows if row.part == part]
        findings = Counter(finding for row in rows for finding in row.findings)
        parts[part] = {
            "images": len(rows),
            "patients": len({row.patient for row in rows}),
            "findings": {finding: findings[finding] for finding in data.findings},
        }
    return {
        "images": len(data.rows),
        "patients": len({row.patient for row in data.rows}),
        "parts": parts,
        "left_out": dict(data.left_out),
    }
