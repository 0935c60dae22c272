"""The evidence panel of a scan: probabilities, heatmap, notes, other analyses."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from classifier.contract import leading_finding
from webapp.analysis.limits import limits_of
from webapp.analysis.models import Analysis
from webapp.analysis.result_warnings import warnings_of
from webapp.analysis.state import current_analysis
from webapp.core.jobs.table import JobStatus
from webapp.pages.display import set_in_words
from webapp.pages.scan.explanations import NAMES
from webapp.pages.scan.state_display import analysis_display
from webapp.scans.models import Scan
from webapp.scans.selectors import scan_notes

NOTES = {
    "stated_differs": gettext_lazy(
        "The values entered at upload differ from the file header; the header was used."
    ),
    "turned": gettext_lazy(
        "The image is stored mirrored or rotated (PatientOrientation) and was turned upright."
    ),
    "square_pixels": gettext_lazy(
        "The stored pixels are not square; the image was resampled to square pixels."
    ),
    "end_marker_missing": gettext_lazy("The JPEG file lacks its end marker; all pixels were read."),
    "curve_applied": gettext_lazy(
        "The grayscale curve of the file (VOI LUT, sigmoid or exposure) was applied: measured grey values are"
        " those displayed, not those stored."
    ),
    "age_unreadable": gettext_lazy("The age in the file cannot be read, so the age is unknown."),
    "same_sop_instance": gettext_lazy(
        "Another image at this site has the same SOPInstanceUID but different pixels."
    ),
    "demographics_differ": gettext_lazy(
        "Name, sex or birth date in this file differ from the patient record."
    ),
    "study_elsewhere": gettext_lazy(
        "Another patient at this site has a study with the same StudyInstanceUID."
    ),
}
DIFFERENCES = {"stated_differs", "demographics_differ"}
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


def evidence_context(analyses: Sequence[Analysis], *, revealed: Container[str] = ()) -> dict[str, Any]:
    """Template values of a scan's analyses; a withheld result only for analyses whose id is in `revealed`."""
    analysis = current_analysis(analyses)
    others = [(other.model_version, analysis_display(other)) for other in analyses if other != analysis]
    context: dict[str, Any] = {"analysis": analysis, "others": others}
    if analysis is None or analysis.status != JobStatus.DONE:
        return context
    context["warnings"] = warnings_of(analysis)
    shown = not analysis.withheld or str(analysis.pk) in revealed
    return context | {"hidden": not shown} | (_result(analysis) if shown else {})


def _result(analysis: Analysis) -> dict[str, Any]:
    spec, cam, thresholds = analysis.model_version.model_spec, cam_of(analysis), analysis.thresholds
    leading = leading_finding(analysis.finding, analysis.probabilities)
    return {
        "limits": limits_of(analysis),
        "bars": [
            Bar(
                finding,
                probability,
                thresholds[finding],
                reported=finding == analysis.finding and not analysis.withheld,
                working_point=working_point(analysis, finding),
            )
            for finding, probability in sorted(analysis.probabilities.items(), key=lambda item: -item[1])
        ],
        "calibrated": spec.calibrated,
        "calibration": calibration_text(analysis),
        "prediction_set": set_in_words(analysis.prediction_set),
        "cam": cam,
        "cam_half": cam["scale"] / 2 if cam else None,
        "methods": NAMES.items(),
        "explain": explanation_url(analysis),
        "cam_finding": leading,
        "inside_lungs": round(100 * cam["inside_lungs"]) if cam and cam["inside_lungs"] is not None else None,
    }


def explanation_url(analysis: Analysis) -> str:
    """The address of the analysis' heatmaps by other methods, with `-` in place of the method."""
    return reverse("pages:explanation", args=[analysis.pk, "-"])


def cam_of(analysis: Analysis) -> dict[str, Any] | None:
    stored = getattr(analysis, "stored_cam", None)
    return stored.cam if stored else None


def calibration_text(analysis: Analysis) -> str:
    """Which calibration the result was made with; results keep it when the site changes to another."""
    if analysis.calibration is None:
        return _("the model's own")
    values = {"number": analysis.calibration.number, "date": f"{analysis.calibration.created_at:%Y-%m-%d}"}
    return _("site calibration %(number)s of %(date)s") % values


def working_point(analysis: Analysis, finding: str) -> str:
    """Sensitivity and specificity at the finding's threshold, by the site's labels or else the model card."""
    if analysis.calibration:
        return _working_point_at_site(analysis.calibration.report, finding)
    point: Any = analysis.model_version.card
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


def _working_point_at_site(report: dict[str, Any], finding: str) -> str:
    point = report.get("proposed", {}).get("findings", {}).get(finding, {})
    shares = [point.get(share, {}).get("value") for share in ("sensitivity", "specificity")]
    if None in shares:
        return ""
    return _("sensitivity %(sensitivity)s, specificity %(specificity)s on labelled scans of this site") % {
        "sensitivity": f"{shares[0]:.2f}",
        "specificity": f"{shares[1]:.2f}",
    }


def notes_of(scan: Scan) -> list[str]:
    """Remarks on the image and its file, as sentences."""
    notes = []
    if scan.polarity_turned:
        notes.append(_("The image was stored as a negative; its polarity was corrected."))
    if scan.duplicate_of_id:
        notes.append(_("The same image was uploaded before in another file."))
    for code, detail in scan_notes(scan).items():
        if code == "burned_in":
            notes.append(str(BURNED_IN[detail["found"]]))
        else:
            notes.append(" ".join([str(NOTES.get(code, code)), *_details(code, detail)]))
    return notes


def _details(code: str, detail: dict[str, Any]) -> list[str]:
    if code == "turned":
        return [f"PatientOrientation {detail['stored']}."]
    if code == "age_unreadable":
        return [f"PatientAge “{detail['PatientAge']}”."]
    if code in DIFFERENCES:
        return [f"{KEYWORDS.get(what, what)}: {one} / {other}." for what, (one, other) in detail.items()]
    return []
