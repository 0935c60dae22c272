"""Reading analyses: a scan's answers, a patient's history."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Prefetch

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.analysis.models import Analysis
from webapp.analysis.summaries import State, scan_state
from webapp.core.errors import CodedError
from webapp.scans.models import Patient, Scan, Study, Upload


def scan_analyses(scan: Scan) -> list[Analysis]:
    """A scan's analyses with model and CAM (where done: `.stored_cam.cam`), newest first."""
    analyses = scan.analyses.select_related("model_version", "stored_cam")
    return list(analyses.order_by("-created_at"))


def analysis_or_404(user: User, analysis_id: uuid.UUID) -> Analysis:
    """An analysis of a scan that the user may see, with its scan's site; raises CodedError `not_found`."""
    seen = for_sites(Analysis.objects.all(), user, "scan.view", path="scan__site")
    analysis = seen.select_related("model_version", "scan__site").filter(pk=analysis_id).first()
    if analysis is None:
        raise CodedError("not_found")
    return analysis


@dataclass(frozen=True)
class Progress:
    """How far a scan or an upload has come.

    `stage`: received, parsing, refused, upload_failed, then the scan's analysing, failed, waiting, abstained,
    done. `code` is the reason to look up in `classifier.contract.ADVICE`, or an error code.
    """

    stage: str
    code: str = ""
    finished: bool = False


def progress_of(record: Scan | Upload, analyses: Sequence[Analysis] | None = None) -> Progress:
    """The one reading of it, for page and API; an upload that has become a scan answers for the scan.

    `analyses` are the scan's, as far as they were read already: what is told beside them then agrees.
    """
    scan = record if isinstance(record, Scan) else next(iter(record.scans.all()), None)
    if scan is not None:
        state = scan_state(scan.analyses.all() if analyses is None else analyses)
        return Progress(state.status.value, state.reason, state.status != "analysing")
    if record.status == Upload.Status.REFUSED:
        return Progress("refused", record.refusal, True)
    if record.status == Upload.Status.FAILED:
        return Progress("upload_failed", record.error_code, True)
    return Progress(record.status)


@dataclass(frozen=True)
class HistoryEntry:
    study: Study
    scan: Scan
    state: State


def history(patient: Patient) -> list[HistoryEntry]:
    """The patient's scans in order of time, each with where it stands and its current analysis."""
    analyses = Analysis.objects.select_related("model_version")
    scans = (
        Scan.objects.filter(series__study__patient=patient)
        .select_related("series__study")
        .prefetch_related(Prefetch("analyses", queryset=analyses))
        .order_by("series__study__study_at", "acquired_at", "received_at", "pk")
    )
    return [HistoryEntry(scan.series.study, scan, scan_state(scan.analyses.all())) for scan in scans]
