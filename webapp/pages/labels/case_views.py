"""A case of a label queue: blind label, then the model's result."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.services import signed_in
from webapp.core.errors import CodedError
from webapp.labels.annotation import case_label, own_label
from webapp.labels.models import QueueClaim
from webapp.labels.queue_progress import held_or_404, item_or_404
from webapp.labels.queues import case_extend, case_next, case_skip
from webapp.pages.labels.context import case_context, label_json, model_result, parse_label
from webapp.pages.request_data import json_object, uuid_or_none
from webapp.pages.scan.images import PIXELS, image_content

IMAGE_KINDS = ("preview", PIXELS)


@require_safe
def case(request: HttpRequest, item_id: UUID) -> HttpResponse:
    """A case that the reader was given, skipped or has labelled; any other redirects to its queue."""
    item = item_or_404(request.user, item_id)
    claimed = QueueClaim.objects.filter(item=item, reader=request.user).exists()
    skipped = item.skips.filter(reader=signed_in(request.user)).exists()
    if not claimed and not skipped and own_label(item, request.user) is None:
        messages.info(request, _("Cases are assigned in turn: start here."))
        return redirect("pages:label_queue", item.queue_id)
    return render(request, "labels/case.html", case_context(request, item))


@require_safe
def image(request: HttpRequest, item_id: UUID, kind: str) -> HttpResponse:
    """The image of a case that the reader holds, under an address without the scan's id."""
    if kind not in IMAGE_KINDS:
        raise CodedError("not_found")
    scan = held_or_404(signed_in(request.user), item_id).scan
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
    body = json_object(request)
    after = _uuid(body.get("after"))
    label = case_label(item=item, reader=request.user, content=parse_label(body), after=after)
    html = render_to_string("labels/_model_result.html", model_result(label), request=request)
    return JsonResponse({"label": label_json(label), "html": html}, status=HTTPStatus.CREATED)


@require_POST
def skip(request: HttpRequest, item_id: UUID) -> HttpResponse:
    """Pass the case over: POST `reason`, `text`; redirects to the reader's next case."""
    item = item_or_404(request.user, item_id)
    case_skip(
        item=item,
        reader=signed_in(request.user),
        reason=request.POST.get("reason", ""),
        text=request.POST.get("text", ""),
    )
    messages.success(request, _("Image skipped. “Previous” leads back to it."))
    following = case_next(queue=item.queue, reader=signed_in(request.user))
    if following is None:
        return redirect("pages:label_queue", item.queue_id)
    return redirect("pages:label_case", following.pk)


@require_POST
def extend_claim(request: HttpRequest, item_id: UUID) -> JsonResponse:
    """Extend the reader's claim on the case."""
    item = item_or_404(request.user, item_id)
    return JsonResponse({"claimed": case_extend(item=item, reader=request.user)})


def _uuid(value: object) -> UUID | None:
    if value in (None, ""):
        return None
    key = uuid_or_none(str(value))
    if key is None:
        raise CodedError("invalid")
    return key
