"""Adjudication: the readers' labels of a disputed case side by side, without names, and the decision."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from webapp.accounts.services import demand, signed_in
from webapp.core.errors import CodedError
from webapp.labels import adjudication
from webapp.labels.adjudication import disputed_for, findings_to_decide
from webapp.labels.annotation import LabelContent
from webapp.labels.models import Assessment, ItemStatus, QueueItem
from webapp.labels.queue_progress import decision_of, item_or_404, labels_of, queue_or_404
from webapp.pages.display import name_of_finding
from webapp.pages.labels.context import case_context, label_cells
from webapp.pages.request_data import uuid_or_none

DECISIONS = (
    (Assessment.PRESENT.value, gettext_lazy("present")),
    (Assessment.ABSENT.value, gettext_lazy("absent")),
    (Assessment.UNCERTAIN.value, gettext_lazy("indeterminate")),
)


@require_safe
def disputed(request: HttpRequest, queue_id: UUID) -> HttpResponse:
    """Redirect to the first case to adjudicate."""
    queue = queue_or_404(signed_in(request.user), queue_id)
    demand(request.user, "label.adjudicate", queue.site)
    item = disputed_for(queue, signed_in(request.user)).first()
    return redirect("pages:label_adjudicate", item.pk) if item else redirect("pages:label_queue", queue_id)


@require_http_methods(["GET", "HEAD", "POST"])
def adjudicate(request: HttpRequest, item_id: UUID) -> HttpResponse:
    """The labels side by side; POST `finding-CODE` where they differ, `reason`, `after`, `unusable`."""
    item = item_or_404(signed_in(request.user), item_id)
    demand(request.user, "label.adjudicate", item.queue.site)
    if item.status == ItemStatus.WAITING:
        messages.info(request, _("Not all readers have labelled this image yet."))
        return redirect("pages:label_queue", item.queue_id)
    if item.reader_labels.filter(reader=signed_in(request.user)).exists():
        messages.info(request, _("You have labelled this case yourself: another person has to decide it."))
        return redirect("pages:label_queue", item.queue_id)
    problem = ""
    if request.method == "POST":
        try:
            adjudication.adjudicate(
                item=item,
                actor=signed_in(request.user),
                content=_decision(request, item),
                reason=request.POST.get("reason", ""),
                after=uuid_or_none(request.POST.get("after", "")),
            )
        except CodedError as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            problem = error.message if error.fields else f"{error.message} {error.remedy}"
        else:
            return _to_next_dispute(request, item)
    context = _adjudication_context(request, item) | {"problem": problem}
    return render(request, "labels/adjudicate.html", context, status=400 if problem else 200)


def _to_next_dispute(request: HttpRequest, item: QueueItem) -> HttpResponse:
    following = disputed_for(item.queue, signed_in(request.user)).first()
    if following:
        messages.success(request, _("Decision saved."))
        return redirect("pages:label_adjudicate", following.pk)
    messages.success(request, _("Decision saved. No cases left to adjudicate."))
    return redirect("pages:label_queue", item.queue_id)


def _adjudication_context(request: HttpRequest, item: QueueItem) -> dict:
    labels = [label_cells(label) for label in labels_of(item) if not hasattr(label, "superseded_by")]
    decision = decision_of(item)
    asked = findings_to_decide(item.queue.findings, [label["label"] for label in labels])
    rows = []
    for code in item.queue.findings:
        statements = [label["statements"][code] for label in labels]
        values = {value for value, _name in statements}
        decided = request.POST.get(f"finding-{code}") or (decision.findings.get(code) if decision else "")
        rows.append(
            {
                "code": code,
                "name": name_of_finding(code),
                "statements": [name for _value, name in statements],
                "differs": len(values) > 1,
                "asked": code in asked,
                "chosen": decided,
            }
        )
    regions = [one | {"by": n} for n, label in enumerate(labels, 1) for one in label["label"].regions]
    return {
        "item": item,
        "queue": item.queue,
        "synthetic": item.scan.synthetic,
        "rows": rows,
        "labels": labels,
        "names_shown": item.status == ItemStatus.SETTLED,
        "decision": decision,
        "reason": request.POST.get("reason", ""),
        "left": disputed_for(item.queue, signed_in(request.user)).count(),
        "image": case_context(request, item)["image"] | {"regions": regions},
        "names": {code: name_of_finding(code) for code in item.queue.findings},
        "decisions": DECISIONS,
    }


def _decision(request: HttpRequest, item: QueueItem) -> LabelContent:
    labels = item.reader_labels.filter(superseded_by=None)
    asked = findings_to_decide(item.queue.findings, labels)
    findings = {code: request.POST.get(f"finding-{code}", "") for code in asked}
    if not all(findings.values()):
        text = _("Decide each finding; choose indeterminate where the image does not show it clearly.")
        raise CodedError("invalid", text, fields={"findings": [text]})
    comment, unusable = request.POST.get("comment", ""), "unusable" in request.POST
    return LabelContent(findings, comment=comment, unusable=unusable)
