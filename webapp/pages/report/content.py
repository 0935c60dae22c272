"""What a report of a scan says: one gathering of it for the page to print and for the PDF."""

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
from webapp.analysis.models import Analysis
from webapp.analysis.selectors import scan_analyses
from webapp.analysis.state import state_of
from webapp.labels.selectors import readings_of
from webapp.pages.display import moment, name_of_finding, person_in_words, uncertainty_word
from webapp.pages.patients.display import age_on, label_of, sex_in_words
from webapp.pages.scan.evidence import Bar, evidence_of, notes_of
from webapp.pages.scan.outcome import Outcome, outcome_of
from webapp.pages.scan.readings import Shown, shown
from webapp.scans.models import Scan

Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class Report:
    scan: Scan
    patient: Facts
    study: Facts
    outcome: Outcome
    bars: list[Bar]
    calibrated: bool
    uncertainty: str
    legend: str
    model: Facts
    notes: list[str]
    readings: list[Shown]
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
    analyses = scan_analyses(scan)
    state = state_of(scan, analyses)
    analysis, outcome = state.analysis, outcome_of(state)
    evidence = evidence_of(analyses)
    cam = evidence.get("cam")
    finding = evidence.get("cam_finding") or ""
    said = outcome.kind == "answered"
    return Report(
        scan=scan,
        patient=_patient(scan),
        study=_study(scan),
        outcome=outcome,
        bars=evidence.get("bars", []) if said else [],
        calibrated=evidence.get("calibrated", False),
        uncertainty=_uncertainty(analysis) if said and analysis else "",
        legend=_legend(scan, cam, finding) if cam else "",
        model=_model(analysis) if analysis else [],
        notes=notes_of(scan),
        readings=[r for r in _readings(scan) if not r.superseded],
        others=_others(scan),
        made_at=timezone.localtime(),
        created_by=person_in_words(request.user),
        synthetic=scan.synthetic,
        cam=cam,
        cam_finding=finding,
    )


def _readings(scan: Scan) -> list[Shown]:
    return [shown(reading, scan.study) for reading in readings_of(scan.study)]


def _patient(scan: Scan) -> Facts:
    patient, study = scan.patient, scan.study
    facts = [(_("Patient"), label_of(patient))]
    if not patient.provisional:
        facts.append((_("Patient ID"), patient.patient_id))
    if patient.issuer:
        facts.append((_("Issuer of ID"), patient.issuer))
    if patient.birth_date:
        age = f", {age_on(patient.birth_date, study.study_date)} years" if study.study_date else ""
        facts.append((_("Born"), f"{patient.birth_date:%Y-%m-%d}{age}"))
    if patient.sex:
        facts.append((_("Sex"), sex_in_words(patient.sex)))
    return facts


def _study(scan: Scan) -> Facts:
    study = scan.study
    facts = [(_("Study"), moment(study.study_date, study.study_time))]
    if study.accession_number:
        facts.append((_("Accession number"), study.accession_number))
    facts.append((_("Image"), " ".join(filter(None, (scan.series.modality, scan.view_position))) or "–"))
    facts.append((_("Site"), scan.site.name))
    facts.append((_("StudyInstanceUID"), study.study_instance_uid))
    return facts


def _model(analysis: Analysis) -> Facts:
    version = analysis.model_version
    facts = [
        (_("Model"), f"{version} {version.name} ({version.status})"),
        (_("Artifact SHA-256"), version.sha256),
        (_("Pixels SHA-256"), analysis.scan.pixel_sha256),
    ]
    if analysis.finished_at:
        facts.insert(1, (_("Analysed"), f"{timezone.localtime(analysis.finished_at):%Y-%m-%d %H:%M}"))
    return facts


def _uncertainty(analysis: Analysis) -> str:
    if analysis.uncertainty is None:
        return ""
    return f"{uncertainty_word(analysis.uncertainty)} ({analysis.uncertainty:.2f})"


def _legend(scan: Scan, cam: dict[str, Any], finding: str) -> str:
    said = _("Heatmap: %(finding)s. Full intensity at %(scale).2f logits. Not a lesion outline.")
    inside = cam.get("inside_lungs")
    lungs = _(" %d %% of it lies inside the lungs.") % round(100 * inside) if inside is not None else ""
    grid = next(iter(cam["grids"].values()))
    part = analysed_area((len(grid), len(grid[0])), cam["affine"], (scan.rows, scan.columns))
    frame = "" if part is None else _(" The frame marks the area the model analysed.")
    return said % {"finding": name_of_finding(finding), "scale": cam["scale"]} + lungs + frame


def _others(scan: Scan) -> str:
    others = Scan.objects.filter(series__study=scan.study).count() - 1
    if not others:
        return ""
    return (
        ngettext(
            "The study contains %d more image not shown in this report.",
            "The study contains %d more images not shown in this report.",
            others,
        )
        % others
    )
