"""Signing a reading from its form, and keeping the form's draft."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from webapp.accounts.services import demand, signed_in
from webapp.core.errors import CodedError
from webapp.core.http.json_body import parse_json
from webapp.core.http.problem_details import wants_json
from webapp.labels.drafts import draft_save
from webapp.labels.read_first import impression_commit
from webapp.labels.readings import reading_sign
from webapp.pages.request_data import uuid_or_none
from webapp.pages.scan.views import neighbours_of, render_scan
from webapp.scans.models import Scan
from webapp.scans.selectors import scan_or_404


@require_POST
def sign(request: HttpRequest, scan_id: UUID) -> HttpResponse:
    """Sign POST `finding` (several), `comment` and `comparison` for the scan's study; supersedes `after`.

    With `next` the next study of the reader's list opens. What is refused is shown on the form, which keeps
    its contents; the page's script asks for JSON instead.
    """
    scan = scan_or_404(signed_in(request.user), scan_id)
    demand(request.user, "scan.label", scan.site)
    if "impression" in request.POST:
        return _commit(request, scan)
    target = _target(request, scan)  # before signing, which may take the study off the list
    try:
        reading_sign(
            study=scan.study,
            actor=signed_in(request.user),
            after=uuid_or_none(request.POST.get("after", "")),
            **_entered(request),
        )
    except CodedError as error:
        if wants_json(request) or error.code in ("forbidden", "not_found"):
            raise
        return render_scan(request, scan, entered=_entered(request), error=error)
    return _go(request, target)


def _commit(request: HttpRequest, scan: Scan) -> HttpResponse:
    """The first impression in place of a reading; the same page then shows the result."""
    try:
        impression_commit(study=scan.study, actor=signed_in(request.user), **_entered(request))
    except CodedError as error:
        if wants_json(request) or error.code in ("forbidden", "not_found"):
            raise
        return render_scan(request, scan, entered=_entered(request), error=error)
    return _go(request, (reverse("pages:scan", args=[scan.pk]), _("First impression recorded.")))


@require_POST
def draft(request: HttpRequest, scan_id: UUID) -> JsonResponse:
    """Keep a JSON body {"findings", "comment", "comparison"} for this reader until they sign."""
    scan = scan_or_404(signed_in(request.user), scan_id)
    try:
        body = parse_json(request.body)
        findings = [str(code) for code in body["findings"]]
        texts = {name: str(body.get(name, "")) for name in ("comment", "comparison")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CodedError("invalid") from error
    saved = draft_save(study=scan.study, actor=signed_in(request.user), findings=findings, **texts)
    return JsonResponse({"saved_at": saved.saved_at if saved else None})


def _entered(request: HttpRequest) -> dict[str, Any]:
    texts = {name: request.POST.get(name, "") for name in ("comment", "comparison")}
    return {"findings": request.POST.getlist("finding"), **texts}


def _target(request: HttpRequest, scan: Scan) -> tuple[str, str]:
    """The address to open after signing, and the message there."""
    if "next" not in request.POST:
        return reverse("pages:scan", args=[scan.pk]), _("Reading signed.")
    if following := neighbours_of(request, scan).get("next"):
        return following, _("Reading signed. This is the next study of your list.")
    return reverse("pages:worklist"), _("Reading signed. It was the last study of your list.")


def _go(request: HttpRequest, target: tuple[str, str]) -> HttpResponse:
    address, text = target
    messages.success(request, text)
    return JsonResponse({"href": address}) if wants_json(request) else redirect(address)
