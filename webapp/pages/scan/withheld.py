"""Withheld results that a reader has chosen to see, remembered in the session until sign-out."""

from __future__ import annotations

from django.http import HttpRequest

from webapp.analysis.models import Analysis

SESSION_KEY, AT_MOST = "revealed", 200


def revealed_in(request: HttpRequest) -> list[str]:
    """Ids of the analyses."""
    return request.session.get(SESSION_KEY, [])


def is_revealed(request: HttpRequest, analysis: Analysis) -> bool:
    return str(analysis.pk) in revealed_in(request)


def remember_revealed(request: HttpRequest, analysis: Analysis) -> None:
    request.session[SESSION_KEY] = [*revealed_in(request), str(analysis.pk)][-AT_MOST:]
