"""A case of a label queue: blind label, then the model's result; and the adjudication of disputed cases."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webapp.accounts.services import demand
from webapp.core.errors import CodedError
from webapp.core.http.json_body import parse_json
from webapp.labels import annotation
from webapp.labels.annotation import LabelContent, case_label, own_label
from webapp.labels.models import Assessment, ItemStatus, QueueClaim, QueueItem
from webapp.labels.queue_progress import decision_of, disputed_items, item_or_404, labels_of
from webapp.labels.queues import case_extend
from webapp.pages.display import name_of_finding
from webapp.pages.labels.context import case_context, label_cells, label_json, model_result, parse_label
from webapp.pages.request_data import uuid_or_none
from webapp.pages.scan.images import PIXELS, image_content

IMAGE_KINDS = ("preview", PIXELS)
DECISIONS = (
    (Assessment.PRESENT.value, gettext_lazy("present")),
    (Assessment.ABSENT.value, gettext_lazy("absent")),
    (Assessment.UNCERTAIN.value, gettext_lazy("indeterminate")),
)


@require_safe
def case(request: HttpRequest, item_id: UUID) -> HttpResponse:
    """A case that the reader was given or has labelled; any other redirects to its queue."""
    item = item_or_404(request.user, item_id)
    claimed = QueueClaim.objects.filter(item=item, reader=request.user).exists()
    if not claimed and own_label(item, request.user) is None:
        messages.info(request, _("Cases are assigned in turn: start here."))
        return redirect("pages:label_queue", item.queue_id)
    return render(request, "labels/case.html", case_context(request, item))


@require_safe
def image(request: HttpRequest, item_id: UUID, kind: str) -> HttpResponse:
    """The case's image, under an address that does not contain the scan's id."""
    if kind not in IMAGE_KINDS:
        raise CodedError("not_found")
    scan = item_or_404(request.user, item_id).scan
    etag = f'"{scan.display_sha256}-{kind}"' if kind == PIXELS else f'"{scan.preview_sha256}"'
    fresh = etag in request.headers.get("If-None-Match", "")
    response = HttpResponseNotModified() if fresh else image_content(scan, kind)
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    return response


@require_POST
def submit(request: HttpRequest, item_id: UUID) -> JsonResponse:
    """Store the JSON body as the reader's label; returns it with the model's result as HTML."""
    item = item_or_404(request.user, item_id)
    body = _json_object(request)
    after = _uuid(body.get("after"))
    label = case_label(item=item, reader=request.user, content=parse_label(body), after=after)
    html = render_to_string("labels/_model_result.html", model_result(label), request=request)
    return JsonResponse({"label": label_json(label), "html": html}, status=HTTPStatus.CREATED)


@require_POST
def extend_claim(request: HttpRequest, item_id: UUID) -> JsonResponse:
    """Extend the reader's claim on the case."""
    item = item_or_404(request.user, item_id)
    return JsonResponse({"claimed": case_extend(item=item, reader=request.user)})


@require_http_methods(["GET", "HEAD", "POST"])
def adjudicate(request: HttpRequest, item_id: UUID) -> HttpResponse:
    """The readers' labels side by side; POST `finding-CODE` for each, `reason`, `after`, `unusable`."""
    item = item_or_404(request.user, item_id)
    demand(request.user, "label.adjudicate", item.queue.site)
    if item.status == ItemStatus.WAITING:
        messages.info(request, _("Not all readers have labelled this image yet."))
        return redirect("pages:label_queue", item.queue_id)
    problem = ""
    if request.method == "POST":
        try:
            annotation.adjudicate(
                item=item,
                actor=request.user,
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
    following = disputed_items(item.queue).first()
    if following:
        messages.success(request, _("Decision saved."))
        return redirect("pages:label_adjudicate", following.pk)
    messages.success(request, _("Decision saved. No cases left to adjudicate."))
    return redirect("pages:label_queue", item.queue_id)


def _adjudication_context(request: HttpRequest, item: QueueItem) -> dict:
    labels = [label_cells(label) for label in labels_of(item) if not hasattr(label, "superseded_by")]
    decision = decision_of(item)
    rows = []
    for code in item.queue.findings:
        statements = [label["statements"][code] for label in labels]
        values = {value for value, _name in statements}
        common = values.copy().pop() if len(values) == 1 else ""
        decided = request.POST.get(f"finding-{code}") or (decision.findings.get(code) if decision else "")
        rows.append(
            {
                "code": code,
                "name": name_of_finding(code),
                "statements": [name for _value, name in statements],
                "differs": len(values) > 1,
                "chosen": decided or (common if common != Assessment.UNREAD else ""),
            }
        )
    boxes = [box | {"by": n} for n, label in enumerate(labels, 1) for box in label["label"].regions]
    return {
        "item": item,
        "queue": item.queue,
        "synthetic": item.scan.synthetic,
        "rows": rows,
        "labels": labels,
        "decision": decision,
        "reason": request.POST.get("reason", ""),
        "left": disputed_items(item.queue).count(),
        "image": case_context(request, item)["image"] | {"boxes": boxes},
        "names": {code: name_of_finding(code) for code in item.queue.findings},
        "decisions": DECISIONS,
    }


def _decision(request: HttpRequest, item: QueueItem) -> LabelContent:
    findings = {code: request.POST.get(f"finding-{code}", "") for code in item.queue.findings}
    if not all(findings.values()):
        text = _("Decide each finding; choose indeterminate where the image does not show it clearly.")
        raise CodedError("invalid", text, fields={"findings": [text]})
    comment, unusable = request.POST.get("comment", ""), "unusable" in request.POST
    return LabelContent(findings, comment=comment, unusable=unusable)


def _json_object(request: HttpRequest) -> dict:
    try:
        body = parse_json(request.body)
    except ValueError as error:
        raise CodedError("invalid") from error
    if not isinstance(body, dict):
        raise CodedError("invalid")
    return body


def _uuid(value: object) -> UUID | None:
    if value in (None, ""):
        return None
    key = uuid_or_none(str(value))
    if key is None:
        raise CodedError("invalid")
    return key
