"""The worklist's row of a study, made from its scans and their analyses in the transaction that changes them.

The study's status is the least finished of its scans' (`analysis.state`): analysing, failed, waiting for a
model, and only then finished. A study abstains when none of its scans has a result. Its worst scan is the one
with an abnormal finding of the highest probability; then come the scans on which no finding reached its
threshold, then the normal ones, by their likeliest abnormal finding.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from webapp.analysis.models import Analysis, StudyStatus, StudySummary, StudyTriage
from webapp.analysis.state import State, state_of
from webapp.analysis.worklist.search_text import who_of
from webapp.analysis.worklist.urgency import turn_of, urgency_of, urgent_announce
from webapp.scans.models import Scan, Study

NORMAL = "normal"


def severity(analysis: Analysis) -> tuple[int, float]:
    """The rank of a finished analysis; greater is worse."""
    rank = {NORMAL: 0, "": 1}.get(analysis.finding, 2)
    return rank, reported(analysis)[1] if rank == 2 else likeliest_abnormal(analysis)[1]


def reported(analysis: Analysis) -> tuple[str, float]:
    """The finding with its probability; without one, the likeliest abnormal finding's probability."""
    if analysis.finding:
        return analysis.finding, analysis.probabilities[analysis.finding]
    return "", likeliest_abnormal(analysis)[1]


def likeliest_abnormal(analysis: Analysis) -> tuple[str, float]:
    abnormal = {f: p for f, p in analysis.probabilities.items() if f != NORMAL}
    return max(abnormal.items(), key=lambda item: item[1], default=("", 0.0))


def refresh(scan_ids: Iterable[uuid.UUID]) -> None:
    """Rewrite the summaries of these scans' studies, in the transaction that changed them.

    The scans are locked first, so that a scan that is being moved is counted where it ends up.
    """
    scans = Scan.objects.filter(pk__in=set(scan_ids))
    # Without a join: a joined row that another transaction made meanwhile would be missing.
    list(scans.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    refresh_studies(scans.values_list("series__study_id", flat=True))


def refresh_studies(study_ids: Iterable[uuid.UUID]) -> None:
    """The same by study; a study without scans loses its summary."""
    studies = Study.objects.select_for_update(no_key=True).filter(pk__in=set(study_ids)).order_by("pk")
    for study in studies:
        filed = Scan.objects.filter(series__study=study).select_related("series")
        scans = list(filed.prefetch_related("analyses__model_version", "analyses__calibration"))
        if scans:
            before = StudySummary.objects.filter(study=study).values_list("urgent", flat=True).first()
            values = _values(study, scans)
            StudySummary.objects.update_or_create(study=study, defaults=values)
            if values["urgent"] and not before and not values["read_at"]:
                urgent_announce(study=study, reason=str(values["urgent"]))
        else:
            StudySummary.objects.filter(study=study).delete()
    refresh_names(study.patient_id for study in studies)


def refresh_names(patients: Iterable[uuid.UUID]) -> None:
    """Rewrite the search text of these patients' studies where it has changed."""
    for patient, text in who_of(patients).items():
        StudySummary.objects.filter(study__patient=patient).exclude(who=text).update(who=text)


def threshold_of(analysis: Analysis) -> float | None:
    """The threshold that `reported` was compared with."""
    finding = analysis.finding or likeliest_abnormal(analysis)[0]
    return analysis.thresholds.get(finding) if finding else None


def _values(study: Study, scans: list[Scan]) -> dict[str, object]:
    states = [(state_of(scan), scan) for scan in scans]
    finished = [(s.analysis, scan) for s, scan in states if s.status == StudyStatus.DONE and s.analysis]
    worst, worst_scan = max(finished, key=lambda pair: severity(pair[0]), default=(None, None))
    least = min((state for state, _ in states), key=lambda s: _order(s, bool(finished)))
    finding, probability = reported(worst) if worst else ("", None)
    shown = worst_scan or scans[0]
    readings = Scan.objects.filter(series__study=study, readings__isnull=False)
    read = readings.order_by("-readings__created_at").values_list("readings__reader", "readings__created_at")
    reader, read_at = read.first() or (None, None)
    triage = StudyTriage.objects.filter(study=study).first()
    urgent = urgency_of(
        site=study.site_id,
        scans=scans,
        finding=finding,
        probability=probability,
        by_hand=triage.urgent if triage else None,
    )
    latest_at = max(scan.received_at for scan in scans)
    return {
        "site_id": study.site_id,
        "status": StudyStatus(least.status),
        "finding": finding,
        "probability": probability,
        "threshold": threshold_of(worst) if worst else None,
        "urgent": urgent,
        "assigned_id": triage.assigned_id if triage else None,
        "turn": turn_of(urgent=urgent, read=read_at is not None, arrived=latest_at),
        "uncertainty": worst.uncertainty if worst else None,
        "prediction_set": worst.prediction_set if worst else None,
        "warnings": worst.warnings if worst else [],
        "reason": least.reason,
        "scans": len(scans),
        "synthetic": any(scan.synthetic for scan in scans),
        "worst_scan": shown,
        "severity": sum(severity(worst)) if worst else -1.0,
        "modality": shown.series.modality,
        "reader_id": reader,
        "read_at": read_at,
        "study_at": study.study_at,
        "number": study.accession_number.upper(),
        "latest_at": latest_at,
    }


def _order(state: State, has_result: bool) -> tuple[bool, int]:
    order = StudyStatus.values.index(state.status)
    return (has_result and state.status == StudyStatus.ABSTAINED, order)
