"""Collecting what is monitored: descriptors of analysed images, and reader feedback on the results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from classifier.contract import age_band
from webapp.accounts.models import Site
from webapp.analysis.models import Analysis
from webapp.analysis.worklist.summaries import severity
from webapp.labels.models import Label, Reading
from webapp.labels.selectors import INCONCLUSIVE, OTHER, ground_truth
from webapp.monitoring.models import FeedbackCursor, Observation, ReaderFeedback
from webapp.monitoring.streams import SETTLED
from webapp.scans.selectors import patient_age

BATCH = 500
OPEN_WORDS = {INCONCLUSIVE, OTHER}


def observe(
    analysis: Analysis,
    *,
    pixels: Sequence[float] = (),
    features: Sequence[float] = (),
    at: datetime | None = None,
) -> None:
    """Record a finished analysis for monitoring, once, in the transaction that stored its result."""
    row = _observation(analysis, at or timezone.now())
    row.pixels, row.features = list(pixels), list(features)
    Observation.objects.bulk_create([row], ignore_conflicts=True)


def observe_backfill() -> int:
    """Record, without descriptors, analyses finished before monitoring existed; returns how many."""
    missing = Analysis.objects.filter(status=Analysis.Status.DONE, observation=None)
    rows = missing.select_related("scan__series__study__patient").order_by("created_at")[:BATCH]
    made = [_observation(analysis, analysis.finished_at or analysis.created_at) for analysis in rows]
    Observation.objects.bulk_create(made, ignore_conflicts=True)
    return len(made)


def collect_feedback(site: Site) -> int:
    """Process the readings and labels added since the last call; returns how many."""
    return _judge_readings(site) + _judge_labels(site)


def update_feedback(site: Site) -> int:
    """Feedback that becomes known without a new label: a closed queue, or a late analysis."""
    unjudged = Analysis.objects.filter(status=Analysis.Status.DONE, scan__labels__site=site)
    unjudged = unjudged.exclude(reader_feedback__source=ReaderFeedback.Source.LABEL)
    scans = list(dict.fromkeys(unjudged.values_list("scan_id", flat=True)))
    return sum(_judge_scans(site, scans[start : start + BATCH]) for start in range(0, len(scans), BATCH))


def _observation(analysis: Analysis, at: datetime) -> Observation:
    scan = analysis.scan
    return Observation(
        analysis_id=analysis.pk,
        site_id=scan.site_id,
        model_version_id=analysis.model_version_id,
        at=at,
        withheld=analysis.withheld,
        finding=analysis.finding,
        manufacturer=_text(scan.metadata.get("Manufacturer"))[:64],
        view=_text(scan.view_position or scan.metadata.get("ViewPosition"))[:16].upper(),
        sex=_text(scan.metadata.get("PatientSex") or scan.patient.sex)[:16].upper(),
        age=age_band(patient_age(scan)),
    )


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


@transaction.atomic
def _judge_readings(site: Site) -> int:
    """Compare each reading with the most severe result that was shown when it was signed."""
    readings = _fresh(Reading.objects.filter(site=site), site, ReaderFeedback.Source.READING)
    shown = worst_shown(readings)
    for reading in readings:
        if worst := shown.get(reading.pk):
            _keep(worst, site, ReaderFeedback.Source.READING, overrides=contradicts(worst, reading.findings))
    return len(readings)


def worst_shown(readings: Iterable[Reading]) -> dict[UUID, Analysis]:
    """By reading, the most severe result that was shown when it was signed; one query."""
    seen = {r.pk: [UUID(line["analysis"]) for line in r.evidence if line.get("analysis")] for r in readings}
    wanted = {key for keys in seen.values() for key in keys}
    known = Analysis.objects.filter(pk__in=wanted, status=Analysis.Status.DONE, withheld=False).in_bulk()
    shown = {reading: [known[key] for key in keys if key in known] for reading, keys in seen.items()}
    return {reading: max(some, key=severity) for reading, some in shown.items() if some}


def _fresh(rows: QuerySet, site: Site, source: str) -> list[Any]:
    """The next unprocessed rows; moves the cursor past them."""
    mark = FeedbackCursor.objects.filter(site=site, source=source).first()
    rows = rows.filter(created_at__lt=timezone.now() - SETTLED).order_by("created_at", "pk")
    if mark:
        later = Q(created_at__gt=mark.at) | Q(created_at=mark.at, pk__gt=mark.key)
        rows = rows.filter(later, created_at__gte=mark.at)
    found = list(rows[:BATCH])
    if found:
        last = {"at": found[-1].created_at, "key": found[-1].pk}
        FeedbackCursor.objects.update_or_create(site=site, source=source, defaults=last)
    return found


def contradicts(analysis: Analysis, findings: Sequence[str]) -> bool | None:
    """Whether a reading with these findings contradicts what the model reported."""
    if not analysis.finding or not set(findings) - OPEN_WORDS:
        return None
    return analysis.finding not in findings


@transaction.atomic
def _judge_labels(site: Site) -> int:
    labels = _fresh(Label.objects.filter(site=site), site, ReaderFeedback.Source.LABEL)
    _judge_scans(site, {label.scan_id for label in labels})
    return len(labels)


def _judge_scans(site: Site, scans: Iterable[UUID]) -> int:
    """Compare every result on these scans with their ground truth; returns how many."""
    scans = list(scans)
    truths = ground_truth(site=site, scans=scans, blind_only=True)
    kept = 0
    for analysis in Analysis.objects.filter(scan__in=scans, status=Analysis.Status.DONE):
        probabilities = analysis.own_probabilities
        known = known_of(truths.get(analysis.scan_id, {}), probabilities)
        if known:
            columns = {
                "overrides": not known[analysis.finding] if analysis.finding in known else None,
                "ground_truth": known,
                "loss": sum((probabilities[f] - there) ** 2 for f, there in known.items()) / len(known),
            }
            _keep(analysis, site, ReaderFeedback.Source.LABEL, **columns)
            kept += 1
    return kept


def known_of(reference: Mapping[str, str | None], probabilities: Iterable[str]) -> dict[str, bool]:
    """Finding to whether it is present, for the model's findings with a known ground truth."""
    return {f: reference[f] == "present" for f in probabilities if reference.get(f) in ("present", "absent")}


def _keep(analysis: Analysis, site: Site, source: str, **columns: Any) -> None:
    """Feedback keeps its place in the stream, even if it changes later."""
    version = analysis.model_version_id
    ReaderFeedback.objects.update_or_create(
        analysis=analysis,
        source=source,
        defaults=columns,
        create_defaults={"site": site, "model_version_id": version, "at": timezone.now(), **columns},
    )
