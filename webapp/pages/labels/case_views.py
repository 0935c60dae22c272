"""A case of a queue: its image, the label that is committed blind, then what a model says of it."""

from __future__ import annotations

import json
from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webapp.core.errors import CodedError
from webapp.labels.labelling import Said, adjudicate, case_label, own_label
from webapp.labels.models import ItemStatus, QueueClaim, QueueItem, Stated
from webapp.labels.progress import decision_of, disputed_items, item_or_404, labels_of
from webapp.labels.queues import case_kept
from webapp.pages.access import demand
from webapp.pages.display import name_of_finding
from webapp.pages.labels.display import case_page, given, revealed, said_in, said_of
from webapp.pages.scan.image_views import PIXELS, image_content
from webapp.pages.worklist.search import key_of

KINDS = ("preview", PIXELS)


@require_safe
def case(request: HttpRequest, item_id: UUID) -> HttpResponse:
    """A case that was handed to the reader, or that they have labelled; any other leads to its queue."""
    item = item_or_404(request.user, item_id)
    theirs = QueueClaim.objects.filter(item=item, reader=request.user).exists()
    if not theirs and own_label(item, request.user) is None:
        messages.info(request, _("Cases are handed out one after the other: start here."))
        return redirect("pages:label_queue", item.queue_id)
    return render(request, "labels/case.html", case_page(request, item))


@require_safe
def image(request: HttpRequest, item_id: UUID, kind: str) -> HttpResponse:
    """The case's image as `media` gives it, without the scan's id."""
    if kind not in KINDS:
        raise CodedError("not_found")
    scan = item_or_404(request.user, item_id).scan
    etag = f'"{scan.display_sha256}-{kind}"' if kind == PIXELS else f'"{scan.preview_sha256}"'
    fresh = etag in request.headers.get("If-None-Match", "")
    response = HttpResponseNotModified() if fresh else image_content(scan, kind)
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    return response


@require_POST
def commit(request: HttpRequest, item_id: UUID) -> JsonResponse:
    """Take the JSON body as the reader's label; answers what may be shown from then on."""
    item = item_or_404(request.user, item_id)
    body = _body(request)
    label = case_label(item=item, reader=request.user, said=said_in(body), after=_after(body.get("after")))
    shown = render_to_string("labels/_reveal.html", revealed(label), request=request)
    return JsonResponse({"given": given(label), "shown": shown}, status=HTTPStatus.CREATED)


@require_POST
def keep(request: HttpRequest, item_id: UUID) -> JsonResponse:
    """The reader is still at it: hold the case for longer."""
    item = item_or_404(request.user, item_id)
    return JsonResponse({"kept": case_kept(item=item, reader=request.user)})


@require_http_methods(["GET", "HEAD", "POST"])
def decide(request: HttpRequest, item_id: UUID) -> HttpResponse:
    """What the readers said side by side; POST `finding-CODE` for each, `reason`, `after`, `bad_image`."""
    item = item_or_404(request.user, item_id)
    demand(request, "label.adjudicate", item.queue.site)
    if item.status == ItemStatus.WAITING:
        messages.info(request, _("Its readers have not all read this image yet."))
        return redirect("pages:label_queue", item.queue_id)
    problem = ""
    if request.method == "POST":
        try:
            adjudicate(
                item=item,
                actor=request.user,
                said=_decision(request, item),
                reason=request.POST.get("reason", ""),
                after=key_of(request.POST.get("after", "")),
            )
        except CodedError as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            problem = f"{error.message} {error.remedy}" if not error.fields else error.message
        else:
            following = disputed_items(item.queue).first()
            said = _("Decided.") if following else _("Decided. Nothing is left to decide here.")
            messages.success(request, said)
            if following:
                return redirect("pages:label_decide", following.pk)
            return redirect("pages:label_queue", item.queue_id)
    context = _decide_page(request, item) | {"problem": problem}
    return render(request, "labels/decide.html", context, status=400 if problem else 200)


def _decide_page(request: HttpRequest, item: QueueItem) -> dict:
    labels = [said_of(label) for label in labels_of(item)]
    last = [one for one in labels if not hasattr(one["label"], "superseded_by")]
    decision = decision_of(item)
    rows = []
    for code in item.queue.findings:
        words = [next(f for f in one["findings"] if f["code"] == code) for one in last]
        same = len({word["word"] for word in words}) == 1
        decided = request.POST.get(f"finding-{code}") or (decision.findings.get(code) if decision else "")
        common = words[0]["word"] if same and words else ""
        rows.append(
            {
                "code": code,
                "name": name_of_finding(code),
                "words": words,
                "differs": not same,
                "chosen": decided or (common if common != Stated.UNREAD else ""),
            }
        )
    return {
        "item": item,
        "queue": item.queue,
        "synthetic": item.scan.synthetic,
        "rows": rows,
        "labels": last,
        "earlier": [one for one in labels if one not in last],
        "decision": said_of(decision) if decision else None,
        "reason": request.POST.get("reason", ""),
        "left": disputed_items(item.queue).count(),
        "image": case_page(request, item)["image"]
        | {"boxes": [r | {"by": n} for n, one in enumerate(last, 1) for r in one["label"].regions]},
        "names": {code: name_of_finding(code) for code in item.queue.findings},
        "stated": [("present", "present"), ("absent", "absent"), ("uncertain", "cannot be told")],
    }


def _decision(request: HttpRequest, item: QueueItem) -> Said:
    said = {code: request.POST.get(f"finding-{code}", "") for code in item.queue.findings}
    if not all(said.values()):
        words = _("Decide each finding; what cannot be told is one of the answers.")
        raise CodedError("invalid", words, fields={"findings": [words]})
    return Said(said, comment=request.POST.get("comment", ""), bad_image="bad_image" in request.POST)


def _body(request: HttpRequest) -> dict:
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise CodedError("invalid") from error
    if not isinstance(body, dict):
        raise CodedError("invalid")
    return body


def _after(value: object) -> UUID | None:
    if value in (None, ""):
        return None
    key = key_of(str(value))
    if key is None:
        raise CodedError("invalid")
    return key
