"""Heatmaps by other explainers, asked for on the scan page and made by the worker."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from webapp.analysis.explanations import explanation_of, explanation_request
from webapp.analysis.selectors import analysis_or_404
from webapp.core.errors import CodedError
from webapp.pages.scan.explanations import told
from webapp.pages.scan.revealed import is_revealed


@require_http_methods(["GET", "HEAD", "POST"])
def explanation(request: HttpRequest, analysis_id: UUID, method: str) -> JsonResponse:
    """How the map by a method stands, with the map once it is there; POST asks for it, or for another try.

    What an abstention withholds is explained to who has revealed it; else CodedError `conflict`.
    """
    analysis = analysis_or_404(request.user, analysis_id)
    if analysis.withheld and not is_revealed(request, analysis):
        raise CodedError(
            "conflict", _("The probabilities are withheld."), _("Show them on the scan page first.")
        )
    if request.method == "POST":
        found = explanation_request(analysis=analysis, method=method, actor=request.user)
    else:
        found = explanation_of(analysis, method)
    if found is None:
        raise CodedError(
            "not_found", _("This heatmap has not been requested."), _("Select the method on the scan page.")
        )
    return JsonResponse(told(found))
