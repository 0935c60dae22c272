"""What the page says of a heatmap by another explainer: what it shows, how it stands, what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from classifier.contract import CLOSED_FORM
from webapp.analysis.models import AnalysisStatus, Explanation

NAMES: Mapping[str, str] = {
    CLOSED_FORM: "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "eigencam": "EigenCAM",
    "scorecam": "ScoreCAM",
}
# What each looks at, in a sentence for the reader.
SHOWS = {
    "gradcam++": gettext_lazy("Regions that raise this finding; several regions are weighted evenly."),
    "hirescam": gettext_lazy("Contribution of each region to this finding."),
    "layercam": gettext_lazy("Regions where stronger features would raise this finding."),
    "eigencam": gettext_lazy("Regions with the strongest network features, independent of the finding."),
    "scorecam": gettext_lazy("Regions that raise this finding when the rest of the image is masked."),
}
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
ELSE = (
    gettext_lazy("unexpected error."),
    gettext_lazy("Try again. If it fails again, give this code to your administrator."),
)


def told(explanation: Explanation) -> dict[str, Any]:
    """An explanation as JSON values; `cam` once it is done."""
    name, code = NAMES[explanation.method], explanation.error_code
    said = {"method": explanation.method, "name": name, "status": explanation.status, "code": code}
    if explanation.status == AnalysisStatus.DONE:
        return said | {"words": str(SHOWS[explanation.method]), "cam": explanation.cam}
    if explanation.status == AnalysisStatus.FAILED:
        seen, remedy = FAILURES.get(code, ELSE)
        return (
            said
            | {"words": _("No %(name)s heatmap: %(seen)s") % {"name": name, "seen": seen}}
            | {"remedy": str(remedy)}
        )
    words = _("Computing %(name)s. This may take a minute.") % {"name": name}
    return said | {"words": words}
