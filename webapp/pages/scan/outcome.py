"""What became of an upload, in words: one answer for the upload page, the worklist and the scan page."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from classifier.contract import leading_finding
from webapp.analysis.models import Analysis
from webapp.analysis.state import ScanStatus, State, state_of_scan
from webapp.pages.display import hue_of, lower_first, name_of_finding

FAILED_REMEDY = gettext_lazy("Try again. If it fails again, give this code to your administrator.")
# What failed for a reason that a person should know: what was seen, and what to do.
FAILURES = {
    "parser_gave_out": (
        gettext_lazy("Out of time or memory."),
        gettext_lazy("The file is kept. Try again when the system is less busy."),
    ),
}


@dataclass(frozen=True)
class Outcome:
    """`kind` is reading, analysing, answered, abstained, waiting, refused, failed, or
    filed where no more may be told.

    `headline` says how it stands, `seen` and `remedy` why and what to do, `code` the reason's stable name.
    """

    kind: str
    headline: str
    seen: str = ""
    remedy: str = ""
    code: str = ""
    hue: str = ""

    @property
    def sentence(self) -> str:
        return f"{self.headline}: {lower_first(self.seen)}" if self.seen else self.headline

    @property
    def pending(self) -> bool:
        return self.kind in {"reading", "analysing"}

    @property
    def can_retry(self) -> bool:
        return self.kind == "failed"

    @property
    def dot(self) -> str:
        """The CSS classes of the state's dot."""
        states = {"reading": "busy", "analysing": "busy", "waiting": "waiting", "abstained": "none"}
        return states.get(self.kind, "failed" if self.kind in {"refused", "failed"} else self.hue)


def outcome_of(state: State) -> Outcome:
    """The state of a scan or an upload in words."""
    return _of_analysis(state) if state.analysis else _before_analysis(state)


def of_analysis(analysis: Analysis) -> Outcome:
    """The state of this very analysis in words, whichever is its scan's current one."""
    return outcome_of(state_of_scan([analysis]))


def _of_analysis(state: State) -> Outcome:
    if state.status == ScanStatus.FAILED:
        return Outcome("failed", _("Analysis failed"), "", str(FAILED_REMEDY), state.reason)
    if state.status == ScanStatus.ANALYSING:
        return Outcome("analysing", _("Analysing"))
    if state.status == ScanStatus.ABSTAINED:
        return _reason("abstained", _("No result"), state)
    return Outcome("answered", answer_in_words(state.analysis), hue=hue_of(state.analysis.finding))


def answer_in_words(analysis: Analysis) -> str:
    """The answer as a sentence: a finding, its probability, and where that lies to the model's threshold."""
    spec = analysis.model_version.model_spec
    finding = leading_finding(analysis.finding, analysis.probabilities)
    told = {
        "finding": name_of_finding(finding),
        "number": f"{analysis.probabilities[finding]:.2f}",
        "threshold": f"{spec.threshold(finding):.2f}",
    }
    if analysis.finding:
        return _("%(finding)s %(number)s, above this model's threshold %(threshold)s") % told
    words = _(
        "No finding reaches its threshold: %(finding)s %(number)s, below this model's threshold %(threshold)s"
    )
    return words % told


def _before_analysis(state: State) -> Outcome:
    if state.status == ScanStatus.WAITING:
        return _reason("waiting", _("Waiting"), state)
    if state.status == ScanStatus.REFUSED:
        return _reason("refused", _("Refused"), state)
    if state.status == ScanStatus.UPLOAD_FAILED:
        seen, remedy = FAILURES.get(state.reason, ("", FAILED_REMEDY))
        return Outcome("failed", _("Processing failed"), str(seen), str(remedy), state.reason)
    if state.archive:
        return Outcome("filed", _("Unpacked: each image is a separate scan"))
    if state.status == ScanStatus.DONE:
        return Outcome("filed", _("Processed"))
    parsing = state.status == ScanStatus.PARSING
    return Outcome("reading", _("Processing") if parsing else _("Queued"))


def _reason(kind: str, headline: str, state: State) -> Outcome:
    if state.advice is None:
        return Outcome(kind, headline, code=state.reason)
    return Outcome(kind, headline, state.advice.problem, state.advice.remedy, state.reason)
