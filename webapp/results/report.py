"""The PDF report of a scan. `pages` draws it, which nothing below it may import: it registers itself here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from webapp.scans.models import Scan

Renderer = Callable[[Scan, datetime], bytes]
_registered: list[Renderer] = []


def register(renderer: Renderer) -> None:
    """Use this renderer from now on; it takes a scan and the time that the report states."""
    _registered[:] = [renderer]


def report_pdf(scan: Scan, made_at: datetime) -> bytes:
    """The report as PDF; raises LookupError where no renderer is registered."""
    if not _registered:
        raise LookupError("no renderer of reports is registered")
    return _registered[0](scan, made_at)
