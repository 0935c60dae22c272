"""Reading analyses: a scan's results, a patient's history."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Exists, F, OuterRef, Prefetch, QuerySet
from django.utils import timezone

from webapp.accounts.models import Site, User
from webapp.accounts.services import for_sites
from webapp.analysis.models import Analysis
from webapp.analysis.state import STATE_COLUMNS, State, state_of
from webapp.core.queries import get_or_404
from webapp.registry.models import ModelVersion, SiteCalibration
from webapp.scans.models import Patient, Scan, Study

# A scan's study and patient, without loading series and study for every row of a list.
FILED = {"in_study": F("series__study_id"), "of_patient": F("series__study__patient_id")}
SCAN_COLUMNS = ("slot", "view_position", "synthetic", "rows", "columns", "received_at")


def with_list_columns(scans: QuerySet[Scan]) -> QuerySet[Scan]:
    """The scans with only the columns of their study, analyses and models that a list shows."""
    models = Prefetch("model_version", ModelVersion.objects.only("slot", "number"))
    calibrations = Prefetch("calibration", SiteCalibration.objects.only("number"))
    analyses = Analysis.objects.only(
        "scan", "model_version", "calibration", "finding", "probabilities", *STATE_COLUMNS
    ).prefetch_related(models, calibrations)
    rows = scans.annotate(**FILED).prefetch_related(Prefetch("analyses", analyses))
    return rows.only(*SCAN_COLUMNS)


def scan_analyses(scan: Scan) -> list[Analysis]:
    """A scan's analyses with model and CAM (where done: `.stored_cam.cam`), newest first."""
    analyses = scan.analyses.select_related("model_version", "calibration", "stored_cam")
    return list(analyses.order_by("-created_at"))


def analysis_or_404(user: User, analysis_id: uuid.UUID) -> Analysis:
    """An analysis of a scan that the user may see, with its scan's site; raises CodedError `not_found`."""
    seen = for_sites(Analysis.objects.all(), user, "scan.view", path="scan__site")
    return get_or_404(seen.select_related("model_version", "calibration", "scan__site"), analysis_id)


@dataclass(frozen=True)
class PromotionReach:
    """What a promotion affects: sites, people who may see their scans, scans of the slot."""

    sites: int
    people: int
    recent_scans: int
    waiting_scans: int


REACH_DAYS = 30


def promotion_reach(slot: str) -> PromotionReach:
    """`recent_scans`: received in the last `REACH_DAYS` days; `waiting_scans`: without any analysis."""
    scans, since = Scan.objects.filter(slot=slot), timezone.now() - timedelta(days=REACH_DAYS)
    return PromotionReach(
        sites=Site.objects.count(),
        people=User.objects.filter(is_active=True, memberships__isnull=False).distinct().count(),
        recent_scans=scans.filter(received_at__gte=since).count(),
        waiting_scans=scans.filter(~Exists(Analysis.objects.filter(scan=OuterRef("pk")))).count(),
    )


@dataclass(frozen=True)
class HistoryEntry:
    study: Study
    scan: Scan
    state: State


def history(patient: Patient) -> list[HistoryEntry]:
    """The patient's scans in order of time, each with where it stands and its current analysis."""
    analyses = Analysis.objects.select_related("model_version", "calibration")
    scans = (
        Scan.objects.filter(series__study__patient=patient)
        .annotate(**FILED)
        .select_related("series__study")
        .prefetch_related(Prefetch("analyses", queryset=analyses))
        .order_by("series__study__study_at", "acquired_at", "received_at", "pk")
    )
    return [HistoryEntry(scan.series.study, scan, state_of(scan)) for scan in scans]
