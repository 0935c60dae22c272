"""The contents of a scan's report, for the print view and the PDF."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from classifier.contract import DISCLAIMER
from classifier.images.heatmap import analysed_area
from webapp.accounts.services import signed_in
from webapp.analysis.models import Analysis
from webapp.analysis.result_warnings import WarningText
from webapp.analysis.selectors import scan_analyses
from webapp.analysis.state import state_of
from webapp.core.jobs.table import JobStatus
from webapp.labels.marks.key_images import key_images_of
from webapp.labels.marks.selectors import marks_of
from webapp.labels.read_first import HiddenResults
from webapp.labels.selectors import readings_of
from webapp.pages.display import date_of, name_of_finding, name_of_user, uncertainty_level
from webapp.pages.patients.display import birth_text, label_of, sex_text
from webapp.pages.report.marks import key_values, mark_values
from webapp.pages.scan.evidence import Bar, calibration_text, evidence_context, notes_of
from webapp.pages.scan.readings import reading_values
from webapp.pages.scan.state_display import StateDisplay, state_display
from webapp.scans.models import Scan

Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class Report:
    scan: Scan
    patient: Facts
    study: Facts
    state: StateDisplay
    bars: list[Bar]
    calibrated: bool
    at_site: bool
    uncertainty: str
    prediction_set: str
    limits: str
    warnings: list[WarningText]
    legend: str
    model: Facts
    notes: list[str]
    marks: list[dict[str, Any]]
    key_images: list[dict[str, Any]]
    readings: list[dict[str, Any]]
    others: str
    made_at: datetime
    created_by: str
    synthetic: bool
    cam: dict[str, Any] | None
    cam_finding: str

    @property
    def disclaimer(self) -> str:
        return DISCLAIMER


def report_of(request: HttpRequest, scan: Scan) -> Report:
    """Raises CodedError `read_first` where the reader has still to state a first impression."""
    HiddenResults(signed_in(request.user)).demand_shown(scan.study)
    return report_content(scan, created_by=name_of_user(request.user), made_at=timezone.localtime())


def report_content(scan: Scan, *, created_by: str, made_at: datetime) -> Report:
    """The report for whoever may see the scan."""
    analyses = scan_analyses(scan)
    state = state_of(scan, analyses)
    analysis, display = state.analysis, state_display(state)
    evidence = evidence_context(analyses)
    cam = evidence.get("cam")
    finding = evidence.get("cam_finding") or ""
    readings = [reading_values(reading, scan.study) for reading in readings_of(scan.study)]
    return Report(
        scan=scan,
        patient=_patient(scan),
        study=_study(scan),
        state=display,
        bars=evidence.get("bars", []) if display.has_result else [],
        calibrated=evidence.get("calibrated", False) or bool(analysis and analysis.calibration),
        at_site=bool(analysis and analysis.calibration),
        prediction_set=evidence.get("prediction_set", "") if display.has_result else "",
        warnings=evidence.get("warnings", []),
        limits=evidence.get("limits", "") if display.has_result else "",
        uncertainty=_uncertainty(analysis) if display.has_result and analysis else "",
        legend=_legend(scan, cam, finding) if cam else "",
        model=_model(analysis) if analysis else [],
        notes=notes_of(scan),
        marks=[mark_values(number, mark) for number, mark in enumerate(marks_of(scan), 1)],
        key_images=[key_values(one) for one in key_images_of(scan).select_related("scan")],
        readings=[r for r in readings if not r["superseded"]],
        others=_others(scan),
        made_at=made_at,
        created_by=created_by,
        synthetic=scan.synthetic,
        cam=cam,
        cam_finding=finding,
    )


def _patient(scan: Scan) -> Facts:
    patient, born = scan.patient, scan.patient.birth_date
    facts = [
        (_("Patient"), label_of(patient)),
        (_("Patient ID"), "" if patient.provisional else patient.patient_id),
        (_("Issuer of ID"), patient.issuer),
        (_("Birth date"), birth_text(born, scan.study.study_date) if born else ""),
        (_("Sex"), sex_text(patient.sex)),
    ]
    return [fact for fact in facts if fact[1]]


def _study(scan: Scan) -> Facts:
    study = scan.study
    facts = [
        (_("Study"), date_of(study)),
        (_("Accession number"), study.accession_number),
        (_("Image"), " ".join(filter(None, (scan.series.modality, scan.view_position))) or "–"),
        (_("Site"), scan.site.name),
        (_("StudyInstanceUID"), study.study_instance_uid),
    ]
    return [fact for fact in facts if fact[1]]


def _model(analysis: Analysis) -> Facts:
    version = analysis.model_version
    facts = [
        (_("Model"), f"{version} {version.name} ({version.status})"),
        (_("Artifact SHA-256"), version.sha256),
        (_("Pixels SHA-256"), analysis.scan.pixel_sha256),
    ]
    if analysis.status == JobStatus.DONE:
        facts.insert(1, (_("Calibration"), calibration_text(analysis)))
    if analysis.finished_at:
        facts.insert(1, (_("Analysed"), f"{timezone.localtime(analysis.finished_at):%Y-%m-%d %H:%M}"))
    return facts


def _uncertainty(analysis: Analysis) -> str:
    if analysis.uncertainty is None:
        return ""
    return f"{uncertainty_level(analysis.uncertainty)} ({analysis.uncertainty:.2f})"


def _legend(scan: Scan, cam: dict[str, Any], finding: str) -> str:
    text = _(
        "Heatmap: %(finding)s. Full intensity at %(scale).2f logits, hatched above. Not a lesion outline."
    )
    inside = cam.get("inside_lungs")
    lungs = _(" %d %% of it lies inside the lungs.") % round(100 * inside) if inside is not None else ""
    grid = next(iter(cam["grids"].values()))
    part = analysed_area((len(grid), len(grid[0])), cam["affine"], (scan.rows, scan.columns))
    frame = "" if part is None else _(" The frame marks the area the model analysed.")
    return text % {"finding": name_of_finding(finding), "scale": cam["scale"]} + lungs + frame


def _others(scan: Scan) -> str:
    others = Scan.objects.filter(series__study=scan.study).count() - 1
    text = ngettext(
        "The study contains %d more image not shown in this report.",
        "The study contains %d more images not shown in this report.",
        others,
    )
    return text % others if others else ""
