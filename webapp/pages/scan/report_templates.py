"""The site's report templates as the reading form inserts them, with prior and measurements filled in."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from webapp.accounts.models import User
from webapp.labels.marks.selectors import marks_of
from webapp.labels.models import MAX_COMMENT_LENGTH, ReportTemplate
from webapp.pages.display import date_of
from webapp.pages.report.marks import mark_values
from webapp.scans.models import Scan, Study


def templates_for(scan: Scan, reader: User) -> list[dict[str, Any]]:
    """`{prior}` becomes the date of the patient's previous study, `{measurements}` the reader's own."""
    templates = list(ReportTemplate.objects.filter(site=scan.site_id))
    if not templates:
        return []
    values = {"{prior}": _prior(scan.study), "{measurements}": _measurements(scan, reader)}
    return [
        {
            "name": one.name,
            "findings": one.findings,
            "comment": _filled(one.impression, values),
            "comparison": _filled(one.comparison, values),
        }
        for one in templates
    ]


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text[:MAX_COMMENT_LENGTH]


def _prior(study: Study) -> str:
    earlier = Study.objects.filter(patient=study.patient_id, study_date__lt=study.study_date)
    prior = earlier.order_by("-study_date").first() if study.study_date else None
    return date_of(prior) if prior else _("no prior")


def _measurements(scan: Scan, reader: User) -> str:
    own = marks_of(scan).filter(author=reader)
    shown = [mark_values(number, mark) for number, mark in enumerate(own, 1)]
    lines = [f"{one['text'] or one['kind']}: {one['value']}" for one in shown if one["value"]]
    return "; ".join(lines) or _("no measurements")
