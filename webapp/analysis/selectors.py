"""Reading analyses: a scan's answers, a patient's history."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Prefetch, QuerySet

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.analysis.models import Analysis
from webapp.analysis.worklist.summaries import State, scan_state
from webapp.core.errors import CodedError
from webapp.registry.models import ModelVersion
from webapp.scans.models import Patient, Scan, Study, Upload

# Where a scan is filed, without records of series and study for every row of a list.
FILED = {"in_study": F("series__study_id"), "of_patient": F("series__study__patient_id")}
SCAN_COLUMNS = ("slot", "view_position", "synthetic", "rows", "columns", "received_at")
STATE_COLUMNS = ("status", "error_code", "abstention", "withheld", "created_at")


def with_answers(scans: QuerySet[Scan]) -> QuerySet[Scan]:
    """The scans with as much of their filing, analyses and models as a list tells of them, and no more."""
    models = Prefetch("model_version", ModelVersion.objects.only("slot", "number"))
    analyses = Analysis.objects.only(
        "scan", "model_version", "finding", "probabilities", *STATE_COLUMNS
    ).prefetch_related(models)
    rows = scans.annotate(**FILED).prefetch_related(Prefetch("analyses", analyses))
    return rows.only(*SCAN_COLUMNS)


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
    if scan is None:
        return _upload_progress(record)
    return _scan_progress(scan.analyses.all() if analyses is None else analyses)


def progress_of_uploads(uploads: QuerySet[Upload]) -> dict[uuid.UUID, Progress]:
    """`progress_of` each of them by key: two queries, and no record is made of any row."""
    rows = list(uploads.values_list("pk", "scans", "status", "refusal", "error_code", named=True))
    analyses = defaultdict(list)
    found = Analysis.objects.filter(scan__in=[row.scans for row in rows if row.scans])
    for row in found.values_list("scan", *STATE_COLUMNS, named=True):
        analyses[row.scan].append(row)
    return {
        row.pk: _scan_progress(analyses[row.scans]) if row.scans else _upload_progress(row) for row in rows
    }


def _scan_progress(analyses: Iterable[Any]) -> Progress:
    """`analyses`: anything with `STATE_COLUMNS`."""
    state = scan_state(analyses)
    return Progress(state.status.value, state.reason, state.status != "analysing")


def _upload_progress(upload: Any) -> Progress:
    if upload.status == Upload.Status.REFUSED:
        return Progress("refused", upload.refusal, True)
    if upload.status == Upload.Status.FAILED:
        return Progress("upload_failed", upload.error_code, True)
    return Progress(upload.status)


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
        .annotate(**FILED)
        .select_related("series__study")
        .prefetch_related(Prefetch("analyses", queryset=analyses))
        .order_by("series__study__study_at", "acquired_at", "received_at", "pk")
    )
    return [HistoryEntry(scan.series.study, scan, scan_state(scan.analyses.all())) for scan in scans]
