"""Readings as the scan page and the report show them, and the form that holds a reader's draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from webapp.accounts.services import can, signed_in
from webapp.analysis.models import Analysis
from webapp.core.errors import CODES
from webapp.labels.drafts import draft_of
from webapp.labels.models import Reading, ReadingDraft
from webapp.labels.selectors import ALONE, INCONCLUSIVE, OTHER, offered, readings_of
from webapp.pages.display import name_of_finding
from webapp.pages.scan.report_templates import templates_for
from webapp.scans.models import Scan, Study

# The page's script states these before it sends the form; the server refuses them all the same.
REFUSED_BY_THE_SCRIPT = ("finding_missing", "findings_contradict", "description_missing")


def reading_context(
    request: HttpRequest,
    scan: Scan | None,
    analyses: Sequence[Analysis],
    *,
    entered: Mapping[str, Any] | None = None,
    hidden: bool = False,
) -> dict[str, Any]:
    """Template values of `scan/_reading.html`; `entered` is what a refused form held. `hidden`: no reading is
    shown before the first impression.
    """
    if scan is None:
        return {"readings": [], "may_sign": False}
    readings = list(readings_of(scan.study))
    own = next((r for r in readings if r.reader_id == request.user.pk and not _superseded(r)), None)
    may_sign = can(request.user, "scan.label", scan.site)
    draft = draft_of(scan.study, signed_in(request.user)) if may_sign else None
    return {
        "readings": [reading_values(reading, scan.study) for reading in ([] if hidden else readings)],
        "own_reading": own,
        "may_sign": may_sign,
        "read_first_required": scan.site.read_first,
        "draft": draft,
        "templates": templates_for(scan, signed_in(request.user)) if may_sign else [],
        "entered": entered or _entered(draft or own),
        "alone": ALONE,
        "refusals": {code: f"{CODES[code].message} {CODES[code].remedy}" for code in REFUSED_BY_THE_SCRIPT},
        "offered": [(code, _finding_text(code)) for code in offered(analyses)],
    }


def _entered(source: ReadingDraft | Reading | None) -> dict[str, Any]:
    """What the form holds: the draft, or the reading that is corrected."""
    if source is None:
        return {"findings": [], "comment": "", "comparison": ""}
    return {name: getattr(source, name) for name in ("findings", "comment", "comparison")}


def reading_values(reading: Reading, study: Study) -> dict[str, Any]:
    """Template values; `elsewhere`: the images belonged to another study when the reading was signed."""
    return {
        "findings": ", ".join(_finding_text(code) for code in reading.findings),
        "comment": reading.comment,
        "comparison": reading.comparison,
        "signed_as": reading.signed_as,
        "signed_at": reading.created_at,
        "sha256": reading.sha256,
        "superseded": _superseded(reading),
        "elsewhere": reading.study_id != study.pk,
    }


def _finding_text(code: str) -> str:
    texts = {OTHER: _("Other (see comment)"), INCONCLUSIVE: _("Non-diagnostic")}
    return texts.get(code) or name_of_finding(code)


def _superseded(reading: Reading) -> bool:
    return hasattr(reading, "superseded_by")
