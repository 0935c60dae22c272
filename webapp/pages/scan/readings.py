"""What the scan page and the report show of readings: those that were signed, and what may be signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext as _

from webapp.accounts.services import can
from webapp.analysis.models import Analysis
from webapp.labels.models import Reading
from webapp.labels.selectors import INCONCLUSIVE, OTHER, offered, readings_of
from webapp.pages.display import name_of_finding
from webapp.scans.models import Scan, Study


@dataclass(frozen=True)
class Shown:
    """A reading as it is shown; `elsewhere` when its images were filed to another study then."""

    id: UUID
    findings: str
    comment: str
    signed_as: str
    signed_at: datetime
    sha256: str
    superseded: bool
    elsewhere: bool


def readings_for(request: HttpRequest, scan: Scan | None, analyses: Sequence[Analysis]) -> dict[str, Any]:
    """Template values of `scan/_reading.html`."""
    if scan is None:
        return {"readings": [], "may_sign": False}
    readings = list(readings_of(scan.study))
    own = next((r for r in readings if r.reader_id == request.user.pk and not _superseded(r)), None)
    return {
        "readings": [shown(reading, scan.study) for reading in readings],
        "own_reading": own,
        "may_sign": can(request.user, "scan.label", scan.site),
        "offered": [(code, statement(code)) for code in offered(analyses)],
    }


def shown(reading: Reading, study: Study) -> Shown:
    return Shown(
        id=reading.pk,
        findings=", ".join(statement(code) for code in reading.findings),
        comment=reading.comment,
        signed_as=reading.signed_as,
        signed_at=reading.created_at,
        sha256=reading.sha256,
        superseded=_superseded(reading),
        elsewhere=reading.study_id != study.pk,
    )


def statement(code: str) -> str:
    """A finding as a reading states it."""
    words = {OTHER: _("Other (see comment)"), INCONCLUSIVE: _("Non-diagnostic")}
    return words.get(code) or name_of_finding(code)


def _superseded(reading: Reading) -> bool:
    return hasattr(reading, "superseded_by")
