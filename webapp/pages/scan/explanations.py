"""Heatmaps by other explanation methods, requested on the scan page and computed by the worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from classifier.contract import CLOSED_FORM
from webapp.accounts.services import signed_in
from webapp.analysis.explanations import explanation_of, explanation_request
from webapp.analysis.models import Explanation
from webapp.analysis.selectors import analysis_or_404
from webapp.core.errors import CodedError
from webapp.core.jobs.table import JobStatus
from webapp.labels.read_first import HiddenResults
from webapp.pages.scan.withheld import is_revealed

NAMES: Mapping[str, str] = {
    CLOSED_FORM: "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "eigencam": "EigenCAM",
    "scorecam": "ScoreCAM",
}
DESCRIPTIONS = {
    "gradcam++": gettext_lazy("Regions that raise this finding; several regions are weighted evenly."),
    "hirescam": gettext_lazy("Contribution of each region to this finding."),
    "layercam": gettext_lazy("Regions where stronger features would raise this finding."),
    "eigencam": gettext_lazy("Regions with the strongest network features, independent of the finding."),
    "scorecam": gettext_lazy("Regions that raise this finding when the rest of the image is masked."),
}
# By error code: what went wrong, and what to do.
FAILURES = {
    "explainer_too_slow": (
        gettext_lazy("computation took too long."),
        gettext_lazy("Try again when the system is less busy, or choose another method."),
    ),
    "explainer_missing": (
        gettext_lazy("a Python package is missing on the worker."),
        gettext_lazy("Ask your administrator to install grad-cam on the worker."),
    ),
    "image_missing": (
        gettext_lazy("the stored image is missing or damaged."),
        gettext_lazy("Upload the file again."),
    ),
    "model_unavailable": (
        gettext_lazy("the model file is missing or damaged."),
        gettext_lazy("Ask your administrator to register the model file again."),
    ),
    "out_of_memory": (
        gettext_lazy("the worker ran out of memory."),
        gettext_lazy("Try again when the system is less busy."),
    ),
}
UNEXPECTED = (
    gettext_lazy("unexpected error."),
    gettext_lazy("Try again. If it fails again, give this code to your administrator."),
)


@require_http_methods(["GET", "HEAD", "POST"])
def explanation(request: HttpRequest, analysis_id: UUID, method: str) -> JsonResponse:
    """The state of the heatmap by a method, with the map when done; POST requests it, or another attempt.

    Raises CodedError `conflict` for a withheld result that this reader has not revealed.
    """
    analysis = analysis_or_404(request.user, analysis_id)
    HiddenResults(signed_in(request.user)).demand_shown(analysis.scan.study)
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
    return JsonResponse(explanation_values(found))


def explanation_values(explanation: Explanation) -> dict[str, Any]:
    """An explanation as JSON values; `cam` once it is done."""
    name, code = NAMES[explanation.method], explanation.error_code
    values = {"method": explanation.method, "name": name, "status": explanation.status, "code": code}
    if explanation.status == JobStatus.DONE:
        return values | {"text": str(DESCRIPTIONS[explanation.method]), "cam": explanation.cam}
    if explanation.status == JobStatus.FAILED:
        reason, remedy = FAILURES.get(code, UNEXPECTED)
        text = _("No %(name)s heatmap: %(reason)s") % {"name": name, "reason": reason}
        return values | {"text": text, "remedy": str(remedy)}
    return values | {"text": _("Computing %(name)s. This may take a minute.") % {"name": name}}
