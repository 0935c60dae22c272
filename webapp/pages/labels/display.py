"""What the label pages show: queues and their progress, agreement, a case and what may be said of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from classifier.contract import NORMAL, Slot
from webapp.accounts.models import User
from webapp.accounts.services import can
from webapp.core.errors import CodedError
from webapp.labels.agreement import Kappa
from webapp.labels.labelling import BOX, Said, answer_of, own_label
from webapp.labels.models import Label, LabelQueue, QueueItem, QueueOrder, Stated
from webapp.labels.orders import offered_orders
from webapp.labels.progress import agreement_of, readers_of
from webapp.labels.queues import FINDINGS_AT_MOST, left_for
from webapp.pages.display import name_of_finding, person_in_words
from webapp.pages.scan.evidence import evidence_of
from webapp.pages.scan.outcome import of_analysis
from webapp.registry.selectors import active_models

STATED = {
    Stated.UNREAD: gettext_lazy("not read"),
    Stated.PRESENT: gettext_lazy("present"),
    Stated.ABSENT: gettext_lazy("absent"),
    Stated.UNCERTAIN: gettext_lazy("uncertain"),
}
CONFIDENCES = {1: gettext_lazy("low"), 2: gettext_lazy("medium"), 3: gettext_lazy("high")}
ORDERS = {
    QueueOrder.UNCERTAINTY: gettext_lazy("the model's uncertainty, most first"),
    QueueOrder.DISAGREEMENT: gettext_lazy("disagreement of models and readers, widest first"),
    QueueOrder.DRIFT: gettext_lazy("drift, most unlike first"),
    QueueOrder.RANDOM: gettext_lazy("chance, for unbiased estimates"),
}
SLOTS = {
    Slot.CXR: gettext_lazy("Chest X-rays"),
    Slot.CT: gettext_lazy("CT slices"),
    Slot.PHANTOM: gettext_lazy("Phantoms (simulated images)"),
}


def queue_lines(queues: Sequence[LabelQueue], reader: User) -> list[dict[str, Any]]:
    """The queues of a list, each with what it has for the reader."""
    left = left_for(queues=queues, reader=reader)
    return [_queue_line(queue, left.get(queue.pk, 0)) for queue in queues]


def _queue_line(queue: LabelQueue, left: int) -> dict[str, Any]:
    done = queue.images - queue.waiting
    return {
        "queue": queue,
        "findings": ", ".join(name_of_finding(finding) for finding in queue.findings),
        "order": ORDERS[QueueOrder(queue.order)],
        "done": done,
        "share": round(100 * done / queue.images) if queue.images else 0,
        "left": left,
    }


def queue_page(request: HttpRequest, queue: LabelQueue) -> dict[str, Any]:
    """Template values of a queue's page. How readers agree is told to who may decide over them."""
    may_decide = can(request.user, "label.adjudicate", queue.site)
    agreement = agreement_of(queue) if may_decide and queue.readers > 1 else []
    (line,) = queue_lines([queue], request.user)
    return line | {
        "readers": readers_of(queue),
        "agreement": [
            {
                "finding": one.finding,
                "overall": kappa_in_words(one.overall),
                "pairs": [
                    (person_in_words(first), person_in_words(other), kappa_in_words(kappa))
                    for first, other, kappa in one.pairs
                ],
            }
            for one in agreement
        ],
        "may_decide": may_decide,
        "may_manage": can(request.user, "label.manage", queue.site),
    }


def kappa_in_words(kappa: Kappa) -> dict[str, Any]:
    """Kappa with its interval, as far as there is one, and why not."""
    if kappa.value is None:
        alike, none = _("all said the same of every image"), _("no image has all its readers yet")
        why = alike if kappa.images else none
        return {"value": None, "why": why, "images": kappa.images}
    interval = _("too few images")
    if kappa.low is not None:
        interval = _("%(low)s to %(high)s") % {"low": f"{kappa.low:.2f}", "high": f"{kappa.high:.2f}"}
    return {
        "value": f"{kappa.value:.2f}",
        "interval": interval,
        "observed": f"{100 * (kappa.observed or 0):.0f} %",
        "images": kappa.images,
    }


def choices() -> dict[str, Any]:
    """What the form of a new queue offers."""
    known = {f for version in active_models().values() for f in version.model_spec.findings} - {NORMAL}
    return {
        "findings": [(code, name_of_finding(code)) for code in (NORMAL, *sorted(known))],
        "orders": [(code, ORDERS[QueueOrder(code)]) for code in offered_orders()],
        "slots": list(SLOTS.items()),
    }


def case_page(request: HttpRequest, item: QueueItem) -> dict[str, Any]:
    """Template values of a case: nothing of the scan but its image until the reader has committed.

    The case has an id of its own, so that the page does not name the scan either.
    """
    own = own_label(item, request.user)
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
        "stated": [(word.value, words) for word, words in STATED.items()],
        "confidences": list(CONFIDENCES.items()),
        "left": left_for(queues=[queue], reader=request.user).get(queue.pk, 0),
        "given": given(own) if own else None,
    } | (revealed(own) if own else {})


def revealed(own: Label) -> dict[str, Any]:
    """What is shown once the reader has committed: their word, and what a model says."""
    analysis = answer_of(own.scan)
    shown = evidence_of([analysis]) if analysis else {}
    return {
        "own": said_of(own),
        "outcome": of_analysis(analysis) if analysis else None,
        "bars": shown.get("bars", []),
        "calibrated": shown.get("calibrated"),
        "version": analysis.model_version if analysis else None,
    }


def said_of(label: Label) -> dict[str, Any]:
    """A label as it is shown."""
    possible = ((label.cannot_tell, _("cannot tell")), (label.bad_image, _("bad image")))
    marks = [words for on, words in possible if on]
    return {
        "label": label,
        "findings": [
            {"code": code, "name": name_of_finding(code), "word": word, "words": STATED[Stated(word)]}
            for code, word in in_order(label)
        ],
        "confidence": CONFIDENCES.get(label.confidence or 0, ""),
        "marks": marks,
        "boxes": len(label.regions),
    }


def in_order(label: Label) -> list[tuple[str, str]]:
    """What a label says of each finding, in its queue's order; a database may keep another one."""
    order = label.queue.findings if label.queue else sorted(label.findings)
    return [(code, label.findings[code]) for code in order if code in label.findings]


def given(label: Label) -> dict[str, Any]:
    """A label as the page's script takes it up again."""
    return {
        "id": str(label.pk),
        "findings": dict(in_order(label)),
        "confidence": label.confidence,
        "regions": [{"finding": box["finding"]} | {side: box[side] for side in BOX} for box in label.regions],
        "comment": label.comment,
        "cannot_tell": label.cannot_tell,
        "bad_image": label.bad_image,
    }


def said_in(body: Mapping[str, Any]) -> Said:
    """What a JSON body states; raises CodedError `invalid` for what has not even the shape of it."""
    findings, regions = body.get("findings"), body.get("regions") or []
    shaped = isinstance(findings, dict) and isinstance(regions, list)
    if not shaped or not all(isinstance(region, dict) for region in regions):
        raise CodedError("invalid")
    confidence, comment = body.get("confidence"), body.get("comment") or ""
    if not (confidence is None or type(confidence) is int) or not isinstance(comment, str):
        raise CodedError("invalid")
    return Said(
        findings=findings,
        confidence=confidence,
        regions=regions,
        comment=comment,
        cannot_tell=body.get("cannot_tell") is True,
        bad_image=body.get("bad_image") is True,
    )


def findings_in(chosen: Iterable[str], typed: str) -> list[str]:
    """Codes that were ticked, then those that were typed: `Pleural effusion, mass` becomes two codes."""
    words = [re.sub(r"[\s-]+", "_", word.strip().lower()) for word in re.split(r"[,;\n]", typed)]
    return list(dict.fromkeys([*chosen, *filter(None, words)]))[: FINDINGS_AT_MOST + 1]
