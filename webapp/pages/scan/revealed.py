"""What a reader has knowingly had shown of what is withheld, until they sign out."""

from __future__ import annotations

from django.http import HttpRequest

from webapp.analysis.models import Analysis

REVEALED, REVEALED_AT_MOST = "revealed", 200


def revealed_in(request: HttpRequest) -> list[str]:
    return request.session.get(REVEALED, [])


def is_revealed(request: HttpRequest, analysis: Analysis) -> bool:
    return str(analysis.pk) in revealed_in(request)


def remember_revealed(request: HttpRequest, analysis: Analysis) -> None:
    request.session[REVEALED] = [*revealed_in(request), str(analysis.pk)][-REVEALED_AT_MOST:]
