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
    "gradcam++": gettext_lazy("Where features that raise this finding are, several places weighed evenly."),
    "hirescam": gettext_lazy("Each place by what it adds to this finding."),
    "layercam": gettext_lazy("Each place by how much a stronger feature there would raise this finding."),
    "eigencam": gettext_lazy("What stands out in the image to the network, whatever the finding."),
    "scorecam": gettext_lazy("What raises this finding when all else in the image is dimmed."),
}
FAILURES = {
    "explainer_too_slow": (
        gettext_lazy("it took too long."),
        gettext_lazy("Try again when less is under way, or choose another method."),
    ),
    "explainer_missing": (
        gettext_lazy("the worker lacks the package for it."),
        gettext_lazy("Ask your administrator to install grad-cam beside the worker."),
    ),
    "image_missing": (
        gettext_lazy("the image is missing from the store or damaged."),
        gettext_lazy("Upload the file again."),
    ),
    "model_unavailable": (
        gettext_lazy("the model's file is missing or damaged."),
        gettext_lazy("Ask your administrator to register the model file again."),
    ),
    "out_of_memory": (
        gettext_lazy("the machine had too little memory."),
        gettext_lazy("Try again when less is under way."),
    ),
}
ELSE = (
    gettext_lazy("something went wrong."),
    gettext_lazy("Try again; if it fails again, give the code to your administrator."),
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
            | {"words": _("No map by %(name)s: %(seen)s") % {"name": name, "seen": seen}}
            | {"remedy": str(remedy)}
        )
    words = _("%(name)s is being worked out; it may take a minute.") % {"name": name}
    return said | {"words": words}
