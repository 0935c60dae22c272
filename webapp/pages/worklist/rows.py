"""A study as the worklist shows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from classifier.reasons import ADVICE
from webapp.accounts.models import User
from webapp.analysis.models import StudySummary, StudyTag, Urgent
from webapp.analysis.state import ScanStatus, State
from webapp.labels.read_first import HiddenResults
from webapp.pages.display import hue_of, name_of_user, set_in_words, study_time
from webapp.pages.patients.display import label_of
from webapp.pages.scan.state_display import DOTS, hidden_display, state_display
from webapp.pages.worklist.columns import RELATIVE_DATE

_PLACEHOLDER = UUID(int=0)
URGENT_BECAUSE = {
    Urgent.HAND: gettext_lazy("flagged by a reader"),
    Urgent.DICOM: gettext_lazy("priority in the DICOM header"),
    Urgent.RULE: gettext_lazy("probability above the site's limit"),
}


def rows_of(summaries: Sequence[StudySummary], *, reader: User) -> list[dict[str, Any]]:
    """Template values of the rows, with the reader's own marks and the studies' tags; two queries."""
    keys = [summary.study_id for summary in summaries]
    marked = set(reader.marks.filter(study__in=keys).values_list("study_id", flat=True))
    tags: dict[UUID, list[str]] = defaultdict(list)
    for study, name in StudyTag.objects.filter(study__in=keys).values_list("study_id", "name"):
        tags[study].append(name)
    # Format strings: resolving the addresses for every row takes too long.
    scan = reverse("pages:scan", args=[_PLACEHOLDER]).replace(str(_PLACEHOLDER), "{}")
    preview = reverse("pages:media", args=[_PLACEHOLDER, "preview"]).replace(str(_PLACEHOLDER), "{}")
    hiding = HiddenResults(reader)
    hiding.prepare(keys)
    return [
        (_hidden(_row(summary)) if hiding.of(summary.study_id, summary.site_id) else _row(summary))
        | {
            "href": scan.format(summary.worst_scan_id),
            "thumbnail": preview.format(summary.worst_scan_id),
            "marked": summary.study_id in marked,
            "tags": tags[summary.study_id],
        }
        for summary in summaries
    ]


def _hidden(row: dict[str, Any]) -> dict[str, Any]:
    """The row of a study that its reader has still to state a first impression of."""
    if row["status"] not in (StudySummary.Status.DONE, StudySummary.Status.ABSTAINED):
        return row
    state = hidden_display(State(ScanStatus.DONE))
    nothing = {
        "finding": "",
        "probability": None,
        "uncertainty": None,
        "prediction_set": "",
        "warnings": "",
        "threshold": None,
    }
    # An urgent case stays on top, but not by which rule.
    nothing["urgent"] = _("The reason is shown with the result.") if row["urgent"] else ""
    return (
        row
        | nothing
        | {"status": StudySummary.Status.DONE, "has_result": False, "dot": state.dot, "state": state.sentence}
    )


def _row(summary: StudySummary) -> dict[str, Any]:
    study = summary.study
    return {
        "study_id": study.pk,
        "status": summary.status,
        "has_result": summary.status == StudySummary.Status.DONE,
        "dot": DOTS.get(summary.status) or hue_of(summary.finding) or "waiting",
        "state": state_text(summary),
        **_patient(summary),
        "date": study_time(study.study_date, study.study_time),
        "date_note": RELATIVE_DATE if study.date_is_relative else "",
        "accession": study.accession_number,
        "modality": summary.modality,
        "view": summary.worst_scan.view_position if summary.worst_scan else "",
        "finding": summary.finding,
        "probability": summary.probability,
        "threshold": summary.threshold,
        "uncertainty": summary.uncertainty,
        "prediction_set": set_in_words(summary.prediction_set),
        "warnings": " ".join(ADVICE[code].problem for code in summary.warnings),
        "reader": name_of_user(summary.reader) if summary.reader else "",
        "assigned": name_of_user(summary.assigned) if summary.assigned else "",
        "urgent": str(URGENT_BECAUSE[Urgent(summary.urgent)]) if summary.urgent else "",
        "read_at": f"{timezone.localtime(summary.read_at):%Y-%m-%d %H:%M}" if summary.read_at else "",
        "scans": summary.scans,
        "synthetic": summary.synthetic,
        "received": f"{timezone.localtime(summary.latest_at):%Y-%m-%d %H:%M}",
        "received_at": summary.latest_at.isoformat(timespec="seconds"),
    }


def _patient(summary: StudySummary) -> dict[str, str]:
    """Label and what stands next to it: name and ID; without a patient, file name, arrival and size."""
    patient = summary.study.patient
    upload = summary.worst_scan.upload if summary.worst_scan else None
    if not patient.provisional or upload is None:
        return {"patient": label_of(patient), "patient_id": patient.patient_id if patient.name else ""}
    arrived = f"{timezone.localtime(summary.latest_at):%Y-%m-%d %H:%M}"
    return {
        "patient": upload.label,
        "patient_id": f"{_('no patient ID')} · {filesizeformat(upload.size)} · {arrived}",
    }


def state_text(summary: StudySummary) -> str:
    if summary.status == StudySummary.Status.DONE:
        return _("Result available")
    state = state_display(State(ScanStatus(summary.status), summary.reason))
    return f"{state.sentence} ({summary.reason})" if state.can_retry else state.sentence
