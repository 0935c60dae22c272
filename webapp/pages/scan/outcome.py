"""What became of an upload, in words: one answer for the upload page, the worklist and the scan page."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from classifier.contract import ADVICE, NO_MODEL_FOR_MODALITY, Advice, worth_showing
from classifier.images.archive_listing import ARCHIVE_ADVICE
from webapp.analysis.models import Analysis
from webapp.pages.display import hue_of, lower_first, name_of_finding
from webapp.scans.models import Scan, Upload

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


def outcome_of(*, upload: Upload, scan: Scan | None, analysis: Analysis | None) -> Outcome:
    """How an upload stands; `analysis` is the scan's by the active model, or its latest."""
    if scan is None:
        return _before_scan(upload)
    if analysis is None:
        return _reason("waiting", _("Waiting"), NO_MODEL_FOR_MODALITY)
    return of_analysis(analysis)


def of_analysis(analysis: Analysis) -> Outcome:
    status = Analysis.Status
    if analysis.status == status.FAILED:
        return Outcome("failed", _("Analysis failed"), "", str(FAILED_REMEDY), analysis.error_code)
    if analysis.status != status.DONE:
        return Outcome("analysing", _("Analysing"))
    if analysis.withheld:
        return _reason("abstained", _("No result"), analysis.abstention)
    return Outcome("answered", answer_in_words(analysis), hue=hue_of(analysis.finding))


def answer_in_words(analysis: Analysis) -> str:
    """The answer as a sentence: a finding, its probability, and where that lies to the model's threshold."""
    spec = analysis.model_version.model_spec
    finding = worth_showing(analysis.finding, analysis.probabilities)
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


def _before_scan(upload: Upload) -> Outcome:
    status = Upload.Status
    if upload.status == status.REFUSED:
        return _reason("refused", _("Refused"), upload.refusal, ARCHIVE_ADVICE.get(upload.refusal_detail))
    if upload.status == status.FAILED:
        seen, remedy = FAILURES.get(upload.error_code, ("", FAILED_REMEDY))
        return Outcome("failed", _("Processing failed"), str(seen), str(remedy), upload.error_code)
    if upload.is_unpacked:
        return Outcome("filed", _("Unpacked: each image is a separate scan"))
    if upload.status == status.DONE:
        return Outcome("filed", _("Processed"))
    return Outcome("reading", _("Processing") if upload.status == status.PARSING else _("Queued"))


def _reason(kind: str, headline: str, code: str, advice: Advice | None = None) -> Outcome:
    advice = advice or ADVICE.get(code)
    if advice is None:
        return Outcome(kind, headline, code=code)
    return Outcome(kind, headline, advice.seen, advice.remedy, code)
