"""Template values of the label pages: queues and their progress, agreement, a case, a label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from classifier.contract import NORMAL
from webapp.accounts.models import Site, User
from webapp.accounts.services import can, signed_in
from webapp.core.agreement import Kappa
from webapp.core.errors import CodedError
from webapp.labels.adjudication import to_decide
from webapp.labels.annotation import LabelContent, finished_analysis, own_label
from webapp.labels.models import Assessment, Label, LabelQueue, QueueItem, QueueOrder, QueueSkip, SkipReason
from webapp.labels.queue_order import offered_orders
from webapp.labels.queue_progress import agreement_of, readers_of, skips_of
from webapp.labels.queues import MAX_FINDINGS, case_previous, readers_at, remaining_for
from webapp.labels.regions.shapes import as_stored
from webapp.labels.regions.suggestions import suggested_boxes
from webapp.pages.display import SLOTS, name_of_finding, name_of_user
from webapp.pages.scan.evidence import evidence_context
from webapp.pages.scan.state_display import analysis_display
from webapp.registry.selectors import active_models

STATEMENTS = {
    Assessment.UNREAD: gettext_lazy("not read"),
    Assessment.PRESENT: gettext_lazy("present"),
    Assessment.ABSENT: gettext_lazy("absent"),
    Assessment.UNCERTAIN: gettext_lazy("uncertain"),
}
CONFIDENCES = {1: gettext_lazy("low"), 2: gettext_lazy("medium"), 3: gettext_lazy("high")}
SKIP_REASONS = {
    SkipReason.UNSURE: gettext_lazy("Outside my experience"),
    SkipReason.KNOWN: gettext_lazy("I know this patient or image"),
    SkipReason.IMAGE: gettext_lazy("The image does not show what is asked"),
    SkipReason.DISPLAY: gettext_lazy("My display or reading room is not suitable"),
    SkipReason.OTHER: gettext_lazy("Other, as described"),
}
ORDERS = {
    QueueOrder.UNCERTAINTY: gettext_lazy("highest model uncertainty first"),
    QueueOrder.DISAGREEMENT: gettext_lazy("widest disagreement of models and readers first"),
    QueueOrder.DRIFT: gettext_lazy("largest drift score first"),
    QueueOrder.RANDOM: gettext_lazy("random, for unbiased estimates"),
}


def queue_rows(queues: Sequence[LabelQueue], reader: User) -> list[dict[str, Any]]:
    """The rows of a list of queues, each with how many images are left for the reader."""
    left, disputed = remaining_for(queues=queues, reader=reader), to_decide(queues, reader)
    return [_queue_row(one, left.get(one.pk, 0), disputed.get(one.pk, 0)) for one in queues]


def _queue_row(queue: LabelQueue, left: int, to_decide: int) -> dict[str, Any]:
    done = queue.images - queue.waiting
    return {
        "queue": queue,
        "findings": ", ".join(map(name_of_finding, queue.findings)),
        "order": ORDERS[QueueOrder(queue.order)],
        "done": done,
        "share": round(100 * done / queue.images) if queue.images else 0,
        "left": left,
        "to_decide": to_decide,
        "for_others": queue.disputed - to_decide,
    }


def queue_context(request: HttpRequest, queue: LabelQueue) -> dict[str, Any]:
    """Template values of a queue's page. Only members who may adjudicate see the readers' agreement."""
    may_adjudicate = can(request.user, "label.adjudicate", queue.site)
    agreement = agreement_of(queue) if may_adjudicate and queue.readers > 1 else []
    (row,) = queue_rows([queue], request.user)
    return row | {
        "readers": readers_of(queue),
        "named": [name_of_user(person) for person in queue.named.order_by("username")],
        "skips": [
            {"position": skip.item.position, "reader": name_of_user(skip.reader), "reason": skip_text(skip)}
            for skip in skips_of(queue)
        ]
        if may_adjudicate
        else [],
        "agreement": [
            {
                "finding": one.finding,
                "overall": kappa_cells(one.overall),
                "pairs": [
                    (name_of_user(first), name_of_user(other), kappa_cells(kappa))
                    for first, other, kappa in one.pairs
                ],
            }
            for one in agreement
        ],
        "may_adjudicate": may_adjudicate,
        "may_manage": can(request.user, "label.manage", queue.site),
    }


def skip_text(skip: QueueSkip) -> str:
    return skip.text or str(SKIP_REASONS[SkipReason(skip.reason)])


def kappa_cells(kappa: Kappa) -> dict[str, Any]:
    """Kappa with its interval and observed agreement as text; `why` where it is undefined."""
    if kappa.value is None:
        constant, none = _("undefined: all labels are the same"), _("no image has all its readers yet")
        return {"value": None, "why": constant if kappa.images else none, "images": kappa.images}
    interval = _("too few images")
    if kappa.low is not None:
        interval = _("%(low)s to %(high)s") % {"low": _decimal(kappa.low), "high": _decimal(kappa.high)}
    return {
        "value": _decimal(kappa.value),
        "interval": interval,
        "observed": f"{100 * (kappa.observed or 0):.0f} %",
        "images": kappa.images,
    }


def _decimal(number: float) -> str:
    return f"{number:.2f}".replace("-", "−")


def queue_choices(site: Site) -> dict[str, Any]:
    """The options of the form for a new queue at the site."""
    known = {f for version in active_models().values() for f in version.model_spec.findings} - {NORMAL}
    return {
        "findings": [(code, name_of_finding(code)) for code in (NORMAL, *sorted(known))],
        "orders": [(code, ORDERS[QueueOrder(code)]) for code in offered_orders()],
        "slots": list(SLOTS.items()),
        "people": [(str(person.pk), name_of_user(person)) for person in readers_at(site)],
    }


def case_context(request: HttpRequest, item: QueueItem) -> dict[str, Any]:
    """Template values of a case: of the scan only its image until the reader has submitted a label.

    The case has an id of its own, so that the page does not identify the scan either.
    """
    own = own_label(item, request.user)
    earlier = case_previous(item=item, reader=signed_in(request.user))
    queue, scan = item.queue, item.scan
    return {
        "item": item,
        "queue": queue,
        "synthetic": scan.synthetic,
        "image": {
            "rows": scan.rows,
            "columns": scan.columns,
            "windowCenter": scan.window_center,
            "windowWidth": scan.window_width,
            "pixels": reverse("pages:label_image", args=[item.pk, "pixels"]),
        },
        "findings": [
            {"code": code, "name": name_of_finding(code), "key": key}
            for key, code in enumerate(queue.findings, 1)
        ],
        "statements": [(code.value, name) for code, name in STATEMENTS.items()],
        "confidences": list(CONFIDENCES.items()),
        "left": remaining_for(queues=[queue], reader=request.user).get(queue.pk, 0),
        "submitted": label_json(own) if own else None,
        "previous": reverse("pages:label_case", args=[earlier.pk]) if earlier else "",
        "skip_reasons": [(code.value, name) for code, name in SKIP_REASONS.items()],
        "skipped": item.skips.filter(reader=signed_in(request.user)).first(),
    } | (model_result(own) if own else {})


def model_result(own: Label) -> dict[str, Any]:
    """What is revealed once the reader has submitted `own`: the model's result."""
    analysis = finished_analysis(own.scan)
    evidence = evidence_context([analysis]) if analysis else {}
    return {
        "own": own,
        "outcome": analysis_display(analysis) if analysis else None,
        "bars": evidence.get("bars", []),
        "calibrated": evidence.get("calibrated"),
        "version": analysis.model_version if analysis else None,
        "analysis": analysis,
        "calibration": evidence.get("calibration", ""),
        "limits": evidence.get("limits", ""),
        "suggestions": suggested_boxes(analysis, list(own.findings)) if analysis else [],
        "warnings": evidence.get("warnings", []),
    }


def label_cells(label: Label) -> dict[str, Any]:
    """A label as a column of the adjudication table."""
    marks = ((label.indeterminate, _("indeterminate")), (label.unusable, _("unusable image")))
    return {
        "label": label,
        "statements": {code: (word, STATEMENTS[Assessment(word)]) for code, word in _in_queue_order(label)},
        "confidence": CONFIDENCES.get(label.confidence or 0, ""),
        "marks": [name for on, name in marks if on],
    }


def _in_queue_order(label: Label) -> list[tuple[str, str]]:
    """The label's statements in the order of its queue's findings: JSON columns may not keep one."""
    order = label.queue.findings if label.queue else sorted(label.findings)
    return [(code, label.findings[code]) for code in order if code in label.findings]


def label_json(label: Label) -> dict[str, Any]:
    """A submitted label, for the script to fill its form with."""
    return {
        "id": str(label.pk),
        "findings": dict(_in_queue_order(label)),
        "confidence": label.confidence,
        "regions": [as_stored(region) for region in label.regions],
        "comment": label.comment,
        "indeterminate": label.indeterminate,
        "unusable": label.unusable,
    }


def parse_label(body: Mapping[str, Any]) -> LabelContent:
    """The label in a JSON body; raises CodedError `invalid` for fields of the wrong type."""
    findings, regions = body.get("findings"), body.get("regions") or []
    shaped = isinstance(findings, dict) and isinstance(regions, list)
    if not shaped or not all(isinstance(region, dict) for region in regions):
        raise CodedError("invalid")
    confidence, comment = body.get("confidence"), body.get("comment") or ""
    if not (confidence is None or type(confidence) is int) or not isinstance(comment, str):
        raise CodedError("invalid")
    return LabelContent(
        findings=findings,
        confidence=confidence,
        regions=regions,
        comment=comment,
        indeterminate=body.get("indeterminate") is True,
        unusable=body.get("unusable") is True,
    )


def parse_findings(selected: Iterable[str], typed: str) -> list[str]:
    """Selected codes, then typed names as codes: `Pleural effusion, mass` becomes two."""
    codes = [re.sub(r"[\s-]+", "_", name.strip().lower()) for name in re.split(r"[,;\n]", typed)]
    return list(dict.fromkeys([*selected, *filter(None, codes)]))[: MAX_FINDINGS + 1]
