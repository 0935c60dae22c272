"""What the evidence panel of a scan shows: bars, heatmap, notes, other analyses."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from classifier.contract import leading_finding
from webapp.analysis.models import Analysis, AnalysisStatus
from webapp.analysis.state import current_analysis
from webapp.pages.scan.explanations import NAMES
from webapp.pages.scan.outcome import of_analysis
from webapp.scans.models import Scan
from webapp.scans.selectors import scan_notes

NOTES = {
    "claim_differs": gettext_lazy(
        "The values entered at upload differ from the file header; the header was used."
    ),
    "demographics_differ": gettext_lazy(
        "Name, sex or birth date in this file differ from the patient record."
    ),
    "study_elsewhere": gettext_lazy(
        "Another patient at this site has a study with the same StudyInstanceUID."
    ),
}
BURNED_IN = {
    "declared": gettext_lazy("The DICOM header declares burned-in text; it may identify the patient."),
    "suspected": gettext_lazy("Burned-in text detected; it may identify the patient."),
}
KEYWORDS = {
    "PatientID": gettext_lazy("patient ID"),
    "StudyDate": gettext_lazy("study date"),
    "birth_date": gettext_lazy("birth date"),
}


@dataclass(frozen=True)
class Bar:
    finding: str
    probability: float
    threshold: float
    reported: bool
    working_point: str = ""


@dataclass(frozen=True)
class Other:
    """An analysis of the same scan by another model version."""

    analysis: Analysis

    @property
    def model_version(self) -> Any:
        return self.analysis.model_version

    @property
    def words(self) -> str:
        return of_analysis(self.analysis).sentence


def evidence_of(analyses: Sequence[Analysis], *, revealed: Container[str] = ()) -> dict[str, Any]:
    """Template values of a scan's analyses; empty ones where there is nothing to show yet.

    What an abstention withholds is there only for the ids of analyses that the reader has `revealed`.
    """
    analysis = current_analysis(analyses)
    others = _others(analyses, analysis)
    if analysis is None or analysis.status != AnalysisStatus.DONE:
        return {"analysis": analysis, "others": others}
    shown = not analysis.withheld or str(analysis.pk) in revealed
    return {"analysis": analysis, "others": others, "hidden": not shown} | (_told(analysis) if shown else {})


def _told(analysis: Analysis) -> dict[str, Any]:
    spec, cam = analysis.model_version.model_spec, cam_of(analysis)
    return {
        "bars": [
            Bar(
                f,
                p,
                spec.threshold(f),
                reported=f == analysis.finding and not analysis.withheld,
                working_point=working_point(analysis.model_version.card, f),
            )
            for f, p in sorted(analysis.probabilities.items(), key=lambda item: -item[1])
        ],
        "calibrated": spec.calibrated,
        "cam": cam,
        "cam_half": cam["scale"] / 2 if cam else None,
        "explainers": NAMES.items(),
        "explain": explaining(analysis),
        "cam_finding": leading_finding(analysis.finding, analysis.probabilities),
        "inside_lungs": round(100 * cam["inside_lungs"]) if cam and cam["inside_lungs"] is not None else None,
    }


def explaining(analysis: Analysis) -> str:
    """Where another explainer's maps of the analysis are asked for: the method's place is a `-`."""
    return reverse("pages:explanation", args=[analysis.pk, "-"])


def cam_of(analysis: Analysis) -> dict[str, Any] | None:
    stored = getattr(analysis, "stored_cam", None)
    return stored.cam if stored else None


def working_point(card: dict[str, Any], finding: str) -> str:
    """How the finding's threshold did on validation data, if the model's card says it."""
    point: Any = card
    for key in ("calibration", "thresholds", finding):
        point = point.get(key) if isinstance(point, dict) else None
    if not isinstance(point, dict) or not {"sensitivity", "specificity"} <= set(point):
        return ""
    shares = [point[share] for share in ("sensitivity", "specificity")]
    if not all(isinstance(share, float | int) for share in shares):
        return ""
    return _("sensitivity %(sensitivity)s, specificity %(specificity)s on validation data") % {
        "sensitivity": f"{shares[0]:.2f}",
        "specificity": f"{shares[1]:.2f}",
    }


def notes_of(scan: Scan) -> list[str]:
    """What a reader should know of how the image came here, as sentences."""
    notes = []
    if scan.polarity_turned:
        notes.append(_("The image was stored as a negative; its polarity was corrected."))
    if scan.duplicate_of_id:
        notes.append(_("The same image was uploaded before in another file."))
    for code, detail in scan_notes(scan).items():
        if code == "burned_in":
            notes.append(str(BURNED_IN[detail["found"]]))
        else:
            notes.append(" ".join([str(NOTES.get(code, code)), *_differences(detail)]))
    return notes


def _differences(differences: dict[str, list[str]]) -> list[str]:
    return [f"{KEYWORDS.get(what, what)}: {one} / {other}." for what, (one, other) in differences.items()]


def _others(analyses: Sequence[Analysis], current: Analysis | None) -> list[Other]:
    return [Other(analysis) for analysis in analyses if analysis != current]
