"""Signing a reading from the scan page."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from webapp.labels.readings import reading_sign
from webapp.pages.access import demand
from webapp.pages.worklist.search import key_of
from webapp.scans.selectors import scan_or_404


@require_POST
def sign(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """Sign POST `finding` (several) and `comment` for the scan's study, after the own reading `after`."""
    scan = scan_or_404(request.user, scan_id)
    demand(request, "scan.label", scan.site)
    reading_sign(
        study=scan.study,
        actor=request.user,
        findings=request.POST.getlist("finding"),
        comment=request.POST.get("comment", ""),
        after=key_of(request.POST.get("after", "")),
    )
    messages.success(request, _("Reading signed."))
    return redirect("pages:scan", scan_id)
