"""The state of a scan, an upload or an archive as text: the same on every page."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from classifier.contract import leading_finding
from classifier.reasons import Advice
from webapp.analysis.models import Analysis
from webapp.analysis.state import ScanStatus, State, state_of_scan
from webapp.pages.display import hue_of, lower_first, name_of_finding, set_in_words

HEADLINES = {
    ScanStatus.RECEIVED: gettext_lazy("Queued"),
    ScanStatus.PARSING: gettext_lazy("Processing"),
    ScanStatus.REFUSED: gettext_lazy("Refused"),
    ScanStatus.UPLOAD_FAILED: gettext_lazy("Processing failed"),
    ScanStatus.ANALYSING: gettext_lazy("Analysing"),
    ScanStatus.FAILED: gettext_lazy("Analysis failed"),
    ScanStatus.WAITING: gettext_lazy("Waiting"),
    ScanStatus.ABSTAINED: gettext_lazy("No result"),
}
FAILURE = Advice("", gettext_lazy("Try again. If it fails again, give this code to your administrator."))
FAILURES = {
    "parser_gave_out": Advice(
        gettext_lazy("Out of time or memory."),
        gettext_lazy("The file is kept. Try again when the system is less busy."),
    )
}
DOTS = {
    ScanStatus.RECEIVED: "busy",
    ScanStatus.PARSING: "busy",
    ScanStatus.ANALYSING: "busy",
    ScanStatus.WAITING: "waiting",
    ScanStatus.ABSTAINED: "none",
    ScanStatus.REFUSED: "failed",
    ScanStatus.UPLOAD_FAILED: "failed",
    ScanStatus.FAILED: "failed",
}


@dataclass(frozen=True)
class StateDisplay:
    """`headline` is the state, `reason` why, `remedy` what to do, `code` the reason's code."""

    status: ScanStatus
    headline: str
    reason: str = ""
    remedy: str = ""
    code: str = ""
    hue: str = ""
    has_result: bool = False
    pending: bool = False

    @property
    def sentence(self) -> str:
        return f"{self.headline}: {lower_first(self.reason)}" if self.reason else self.headline

    @property
    def can_retry(self) -> bool:
        return self.status in {ScanStatus.UPLOAD_FAILED, ScanStatus.FAILED}

    @property
    def dot(self) -> str:
        """The CSS class of the state's dot."""
        return DOTS.get(self.status, self.hue)


def state_display(state: State) -> StateDisplay:
    status, analysis = state.status, state.analysis
    if status == ScanStatus.DONE:
        if analysis:
            return StateDisplay(status, result_text(analysis), hue=hue_of(analysis.finding), has_result=True)
        unpacked = _("Unpacked: each image is a separate scan")
        return StateDisplay(status, unpacked if state.archive else _("Processed"))
    advice = state.advice
    if status in {ScanStatus.UPLOAD_FAILED, ScanStatus.FAILED}:
        advice = FAILURES.get(state.reason, FAILURE)
    reason, remedy = (str(advice.problem), str(advice.remedy)) if advice else ("", "")
    headline = str(HEADLINES[status])
    return StateDisplay(status, headline, reason, remedy, state.reason, pending=not state.finished)


def hidden_display(state: State) -> StateDisplay:
    """As `state_display`, but with nothing that a result or a withheld one would disclose."""
    if state.status not in {ScanStatus.DONE, ScanStatus.ABSTAINED}:
        return state_display(state)
    reason = _("Commit your first impression to see it.")
    return StateDisplay(ScanStatus.DONE, _("Result hidden"), reason, hue="waiting")


def analysis_display(analysis: Analysis) -> StateDisplay:
    """The state of this analysis, whichever is its scan's current one."""
    return state_display(state_of_scan([analysis]))


def result_text(analysis: Analysis) -> str:
    """The result as a sentence: finding, probability, and how it compares with the model's threshold."""
    finding = leading_finding(analysis.finding, analysis.probabilities)
    values = {
        "finding": name_of_finding(finding),
        "number": f"{analysis.probabilities[finding]:.2f}",
        "threshold": f"{analysis.thresholds[finding]:.2f}",
    }
    if analysis.finding and analysis.calibration:
        return _("%(finding)s %(number)s, above this site's threshold %(threshold)s") % values
    if analysis.finding:
        return _("%(finding)s %(number)s, above this model's threshold %(threshold)s") % values
    if possible := set_in_words(analysis.prediction_set):
        return _("%(possible)s, no finding above its threshold") % {"possible": possible}
    return _("No finding above its threshold: %(finding)s %(number)s, threshold %(threshold)s") % values
