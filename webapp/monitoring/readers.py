"""Readers who read first: how their statements agreed with the model, and how seeing it changed them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from webapp.accounts.models import Site, User
from webapp.analysis.models import Analysis
from webapp.labels.models import FirstImpression, Reading
from webapp.labels.selectors import ground_truth
from webapp.monitoring.counts import begin
from webapp.monitoring.observations import contradicts, worst_shown

Reference = Mapping[str, str | None]


@dataclass
class ReaderChange:
    """Numbers of one reader's studies with first impression and signed reading.

    `judged`: those where the model reported a finding; `before` and `after` agreed with it. `changed`: the
    findings differ; of these, `labelled` have ground truth, and became `better` or `worse` against it.
    """

    name: str
    studies: int = 0
    judged: int = 0
    before: int = 0
    after: int = 0
    changed: int = 0
    labelled: int = 0
    better: int = 0
    worse: int = 0


def reader_changes(site: Site, *, only: User | None = None) -> list[ReaderChange]:
    """By reader, in order of their names, of impressions since `begin`; `only` one reader's. Five queries.

    Readings count whose reader had seen the result: the latest that was signed after the impression.
    """
    impressions = FirstImpression.objects.filter(site=site, created_at__gte=begin())
    if only:
        impressions = impressions.filter(reader=only)
    first = {(one.study_id, one.reader_id): one for one in impressions.select_related("reader")}
    readings = Reading.objects.filter(site=site, created_at__gte=begin(), superseded_by=None)
    if not first:
        return []
    pairs = [
        (first[key], reading)
        for reading in readings.order_by("created_at")
        if (key := (reading.study_id, reading.reader_id)) in first
        and reading.created_at >= first[key].created_at
    ]
    reported = worst_shown(reading for _, reading in pairs)
    references = ground_truth(site=site, scans=_scans(r for f, r in pairs if _differ(f, r)), blind_only=True)
    found: dict[UUID, ReaderChange] = {}
    for impression, reading in pairs:
        reader = impression.reader
        row = found.setdefault(reader.pk, ReaderChange(reader.get_full_name() or reader.get_username()))
        reference = _of_study([references.get(scan, {}) for scan in _scans([reading])])
        _count(row, impression, reading, reported.get(reading.pk), reference)
    return sorted(found.values(), key=lambda row: row.name.casefold())


def _count(
    row: ReaderChange,
    impression: FirstImpression,
    reading: Reading,
    shown: Analysis | None,
    reference: Reference,
) -> None:
    row.studies += 1
    against = [contradicts(shown, one.findings) if shown else None for one in (impression, reading)]
    if None not in against:
        row.judged += 1
        row.before += not against[0]
        row.after += not against[1]
    if not _differ(impression, reading):
        return
    row.changed += 1
    if any(reference.values()):
        row.labelled += 1
        errors = [_errors(one.findings, reference) for one in (impression, reading)]
        row.better += errors[1] < errors[0]
        row.worse += errors[1] > errors[0]


def _differ(impression: FirstImpression, reading: Reading) -> bool:
    return set(impression.findings) != set(reading.findings)


def _scans(readings: Iterable[Reading]) -> list[UUID]:
    return [UUID(line["scan"]) for reading in readings for line in reading.evidence]


def _of_study(references: Iterable[Reference]) -> dict[str, str | None]:
    """Present where any image shows it, absent where all do not, else unknown."""
    words: dict[str, set[str | None]] = defaultdict(set)
    for reference in references:
        for finding, word in reference.items():
            words[finding].add(word)
    return {
        finding: "present" if "present" in some else "absent" if some == {"absent"} else None
        for finding, some in words.items()
    }


def _errors(findings: Iterable[str], reference: Reference) -> int:
    """The number of findings with ground truth that the statement has wrong."""
    stated = set(findings)
    return sum((word == "present") != (finding in stated) for finding, word in reference.items() if word)
