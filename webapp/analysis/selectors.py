"""Reading analyses: the worklist, a scan's answers, a patient's history."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch, Q, QuerySet

from webapp.accounts.models import Site, User
from webapp.accounts.services import for_sites
from webapp.analysis.models import Analysis, StudySummary
from webapp.analysis.summaries import State, scan_state
from webapp.core.errors import CodedError
from webapp.scans.identity import ends_of
from webapp.scans.models import Patient, PatientMerge, Scan, Study, Upload
from webapp.scans.selectors import patient_matches

PAGE_SIZE = 50
COUNTED_AT_MOST = 10_000


@dataclass(frozen=True)
class WorklistPage:
    """Rows of the worklist. `after` fetches the next page, None on the last; `total` stops at the cap."""

    rows: Sequence[StudySummary]
    after: str | None
    total: int

    @property
    def total_is_capped(self) -> bool:
        return self.total > COUNTED_AT_MOST


def worklist(
    *,
    user: User,
    site: object = None,
    status: str = "",
    finding: str = "",
    search: str = "",
) -> QuerySet[StudySummary]:
    """The studies that the user may see, newest arrival first; `search` is by patient or accession number."""
    rows = for_sites(StudySummary.objects.all(), user, "scan.view")
    if site:
        rows = rows.filter(site=site)
    if status:
        rows = rows.filter(status=status)
    if finding:
        rows = rows.filter(finding=finding)
    if search := search.strip():
        rows = rows.filter(study__in=_studies_matching(search, site))
    return rows.select_related("study__patient", "worst_scan").order_by("-latest_at", "-study_id")


def _studies_matching(search: str, site: object) -> QuerySet[Study]:
    """Studies by patient, merged ones included, or accession number.

    Each table is read once, instead of joined for every row.
    """
    patients, studies = Patient.objects.filter(patient_matches(search)), Study.objects.all()
    if site:
        patients, studies = patients.filter(site=site), studies.filter(site=site)
    merged = PatientMerge.objects.filter(patient_matches(search, "source__"), parted_at=None)
    merged = merged.filter(source__site=site) if site else merged
    ends = set(ends_of(merged.values_list("target", flat=True)).values())
    found = Q(patient__in=patients) | Q(accession_number__istartswith=search)
    return studies.filter(found | Q(patient__in=ends) if ends else found)


def worklist_page(
    rows: QuerySet[StudySummary], *, after: str | None = None, size: int = PAGE_SIZE
) -> WorklistPage:
    """One page by where the last one ended, so that a deep page costs what the first does (two queries).

    Raises CodedError `invalid` for an `after` that is not ours.
    """
    total = rows.order_by()[: COUNTED_AT_MOST + 1].count()
    page = list(_beyond(rows, after)[: size + 1]) if after else list(rows[: size + 1])
    shown = page[:size]
    return WorklistPage(rows=shown, after=_mark(shown[-1]) if len(page) > size else None, total=total)


def worklist_findings(user: User, site: Site) -> list[str]:
    """The findings that occur on the user's worklist of the site, for its filter."""
    rows = for_sites(StudySummary.objects.filter(site=site).exclude(finding=""), user, "scan.view")
    return sorted(rows.order_by().values_list("finding", flat=True).distinct())


def scan_analyses(scan: Scan) -> list[Analysis]:
    """A scan's analyses with model and CAM (where done: `.stored_cam.cam`), newest first."""
    analyses = scan.analyses.select_related("model_version", "stored_cam")
    return list(analyses.order_by("-created_at"))


@dataclass(frozen=True)
class Progress:
    """How far a scan or an upload has come.

    `stage`: received, parsing, refused, upload_failed, then the scan's analysing, failed, waiting, abstained,
    done. `code` is the reason to look up in `classifier.contract.ADVICE`, or an error code.
    """

    stage: str
    code: str = ""
    finished: bool = False


def progress_of(record: Scan | Upload) -> Progress:
    """The one reading of it, for page and API; an upload that has become a scan answers for the scan."""
    scan = record if isinstance(record, Scan) else next(iter(record.scans.all()), None)
    if scan is not None:
        state = scan_state(scan.analyses.all())
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


def _mark(row: StudySummary) -> str:
    return f"{row.latest_at.isoformat()}_{row.study_id}"


def _beyond(rows: QuerySet[StudySummary], mark: str) -> QuerySet[StudySummary]:
    try:
        moment, key = mark.split("_")
        at, study = datetime.fromisoformat(moment), uuid.UUID(key)
    except ValueError as error:
        raise CodedError("invalid") from error
    if at.tzinfo is None:
        raise CodedError("invalid")
    # The plain bound is there for the index to follow.
    return rows.filter(Q(latest_at__lt=at) | Q(study_id__lt=study), latest_at__lte=at)
