"""Label queues: the list, a new one, one queue with its progress and agreement."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webapp.accounts.services import can
from webapp.core.errors import CodedError
from webapp.labels.labelling import queue_close
from webapp.labels.progress import disputed_items, queue_or_404, queues_visible
from webapp.labels.queues import case_next, queue_create
from webapp.pages.access import active_site, at_active_site, demand
from webapp.pages.labels.display import choices, findings_in, queue_lines, queue_page

SHOWN = 60


@require_safe
@at_active_site("scan.label")
def page(request: HttpRequest) -> HttpResponse:
    site = active_site(request)
    lines = queue_lines(list(queues_visible(request.user).filter(site=site)[:SHOWN]), request.user)
    context = {
        "open": [line for line in lines if line["queue"].closed_at is None],
        "closed": [line for line in lines if line["queue"].closed_at is not None],
        "may_manage": can(request.user, "label.manage", site),
        "may_decide": can(request.user, "label.adjudicate", site),
    }
    return render(request, "labels/queues.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@at_active_site("label.manage")
def new(request: HttpRequest) -> HttpResponse:
    """Make a queue: POST name, finding (several), others, order, readers, at_most, slot and what is in it."""
    said, problem, fields = request.POST, "", {}
    if request.method == "POST":
        try:
            queue = queue_create(
                site=active_site(request),
                actor=request.user,
                name=said.get("name", ""),
                findings=findings_in(said.getlist("finding"), said.get("others", "")),
                order=said.get("order", ""),
                readers=_number(said.get("readers", "")),
                at_most=_number(said.get("at_most", "")),
                slot=said.get("slot", ""),
                unlabelled="unlabelled" in said,
                received_after=_midnight(said.get("received_after", "")),
                received_before=_midnight(said.get("received_before", "")),
            )
        except CodedError as error:
            if error.code != "invalid":
                raise
            problem, fields = error.message, {name: words[0] for name, words in error.fields.items()}
        else:
            if not queue.items.exists():
                messages.info(request, _("No image fits: the queue is empty."))
            return redirect("pages:label_queue", queue.pk)
    context = choices() | {
        "said": said,
        "chosen": said.getlist("finding"),
        "posted": request.method == "POST",
        "problem": problem,
        "fields": fields,
    }
    return render(request, "labels/new_queue.html", context, status=400 if problem else 200)


@require_safe
def queue(request: HttpRequest, queue_id: UUID) -> HttpResponse:
    queue = queue_or_404(request.user, queue_id)
    return render(request, "labels/queue.html", queue_page(request, queue))


@require_POST
def close(request: HttpRequest, queue_id: UUID) -> HttpResponse:
    queue = queue_or_404(request.user, queue_id)
    demand(request, "label.manage", queue.site)
    queue_close(queue=queue, actor=request.user)
    messages.success(request, _("The queue is closed. What was said in it counts from now on."))
    return redirect("pages:label_queue", queue_id)


@require_POST
def following(request: HttpRequest, queue_id: UUID) -> HttpResponse:
    """On to the reader's next case; back to the queue where there is none (more)."""
    queue = queue_or_404(request.user, queue_id)
    if queue.closed_at is not None:
        messages.info(request, _("This queue is closed."))
        return redirect("pages:label_queue", queue_id)
    item = case_next(queue=queue, reader=request.user)
    if item is None:
        return redirect("pages:label_queue", queue_id)
    return redirect("pages:label_case", item.pk)


@require_safe
def undecided(request: HttpRequest, queue_id: UUID) -> HttpResponse:
    """To the first case that waits for a decision."""
    queue = queue_or_404(request.user, queue_id)
    demand(request, "label.adjudicate", queue.site)
    item = disputed_items(queue).first()
    return redirect("pages:label_decide", item.pk) if item else redirect("pages:label_queue", queue_id)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0


def _midnight(text: str) -> datetime | None:
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    return timezone.make_aware(datetime.combine(day, datetime.min.time())) if day else None
