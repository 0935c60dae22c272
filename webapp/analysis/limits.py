"""Where a model was tested outside its training data, and how it did there, in one sentence from its card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from classifier.contract import finding_in_text, leading_finding
from classifier.evaluation.operating.headline import ANY, across
from webapp.analysis.models import Analysis
from webapp.core.jobs.table import JobStatus


def limits_of(analysis: Analysis) -> str:
    """The sentence that page, report and API show with a result; empty before the analysis is done."""
    if analysis.status != JobStatus.DONE or not analysis.probabilities:
        return ""
    leading = leading_finding(analysis.finding, analysis.probabilities)
    return limits_text(analysis.model_version.card, leading)


def limits_text(card: Mapping[str, Any], finding: str) -> str:
    """For all findings together if the card has that row, else for `finding`; figures at the worst origin."""
    about = card.get("about")
    rows = across((about.get("elsewhere") if isinstance(about, dict) else None) or [])
    name = ANY if ANY in rows else finding
    found = rows.get(name, {})
    alarms, detected = found.get("false_alarms"), found.get("sensitivity")
    what = _("a finding") if name == ANY else finding_in_text(name)
    parts = []
    if alarms:
        parts.append(
            _("it reported %(what)s on %(share)s %% of normal images (%(origin)s)")
            % {"what": what, "share": round(100 * alarms["value"]), "origin": alarms["origin"]}
        )
    if detected:
        parts.append(
            _("it detected %(share)s %% of images with %(what)s (%(origin)s)")
            % {"what": what, "share": round(100 * detected["value"]), "origin": detected["origin"]}
        )
    if not parts:
        return _("The model card has no test of this result outside the origins of the training data.")
    return _("Outside the origins of its training data, %(figures)s.") % {"figures": "; ".join(parts)}
