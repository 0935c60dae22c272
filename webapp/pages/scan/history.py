"""One scan of a patient's history, for the list of priors and the patient page."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from webapp.analysis.selectors import HistoryEntry
from webapp.pages.display import name_of_finding, study_time
from webapp.pages.scan.state_display import state_display
from webapp.scans.models import Scan


def scan_entry(entry: HistoryEntry, *, current: Scan | None = None) -> dict[str, Any]:
    """Template values of the scan."""
    scan, study, analysis = entry.scan, entry.study, entry.state.analysis
    state = state_display(entry.state)
    short, probabilities = state.headline, {}
    if state.has_result and analysis:
        short, probabilities = _("below threshold"), analysis.probabilities
        if analysis.finding:
            short = f"{name_of_finding(analysis.finding)} {probabilities[analysis.finding]:.2f}"
    return {
        "id": scan.pk,
        "href": reverse("pages:scan", args=[scan.pk]),
        "thumbnail": reverse("pages:media", args=[scan.pk, "thumbnail"]),
        "date": study_time(study.study_date, study.study_time),
        "view": scan.view_position,
        "state": state,
        "short": short,
        "probabilities": probabilities,
        "model": str(analysis.model_version) if analysis else "",
        "current": current is not None and scan.pk == current.pk,
    }
