"""The warnings of a result as texts: the same on every page, in the report and in the API."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from classifier.contract import finding_in_text
from classifier.reasons import ADVICE, ResultWarning
from classifier.result_warnings import SHIFT
from webapp.analysis.models import Analysis


@dataclass(frozen=True)
class WarningText:
    """`text` is the problem with its measure, `remedy` what to do about it."""

    code: str
    text: str
    remedy: str


def warnings_of(analysis: Analysis) -> list[WarningText]:
    """The warnings that were computed with the result, by their weight."""
    return [_text_of(analysis, ResultWarning(code)) for code in analysis.warnings]


def _text_of(analysis: Analysis, warning: ResultWarning) -> WarningText:
    advice = ADVICE[warning]
    text = " ".join(filter(None, [advice.problem, _measure_of(analysis, warning)]))
    return WarningText(warning.value, text, advice.remedy)


def _measure_of(analysis: Analysis, warning: ResultWarning) -> str:
    measures, limits = analysis.measures, analysis.model_version.model_spec.warning_limits
    if warning is ResultWarning.DATED_BEFORE_DISEASE and "dated" in measures:
        return _("Study date: %(date)s.") % {"date": measures["dated"]}
    if warning is ResultWarning.MAP_OUTSIDE_LUNGS and "inside_lungs" in measures:
        return _("%(share)d %% of it lies inside.") % {"share": round(100 * measures["inside_lungs"])}
    if warning is ResultWarning.UNUSUAL_IMAGE and limits and "distance" in measures:
        share = limits.percentile(measures["distance"])
        return _("It differs more than %(share)d %% of the validation images.") % {"share": share}
    if warning is ResultWarning.UNSTABLE and "shifted" in measures:
        other = measures["shifted"]
        other = finding_in_text(other) if other else _("no finding")
        share = round(100 * SHIFT)
        return _("Moved by %(share)d %%: %(other)s.") % {"share": share, "other": other}
    return ""
