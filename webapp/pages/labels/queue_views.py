"""Label queues: the list, a new queue, one queue with its progress and agreement."""

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

from webapp.accounts.models import User
from webapp.accounts.services import can, demand
from webapp.core.errors import CodedError
from webapp.labels.annotation import queue_close
from webapp.labels.queue_progress import queue_or_404, queues_visible
from webapp.labels.queues import case_next, queue_create, readers_at
from webapp.pages.access import active_site, at_active_site
from webapp.pages.labels.context import parse_findings, queue_choices, queue_context, queue_rows

MAX_QUEUES = 60


@require_safe
@at_active_site("scan.label")
def page(request: HttpRequest) -> HttpResponse:
    site = active_site(request)
    rows = queue_rows(list(queues_visible(request.user).filter(site=site)[:MAX_QUEUES]), request.user)
    context = {
        "open": [row for row in rows if row["queue"].closed_at is None],
        "closed": [row for row in rows if row["queue"].closed_at is not None],
        "may_manage": can(request.user, "label.manage", site),
        "may_adjudicate": can(request.user, "label.adjudicate", site),
    }
    return render(request, "labels/queues.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@at_active_site("label.manage")
def new(request: HttpRequest) -> HttpResponse:
    """Create a queue: POST name, finding (several), others, order, readers, at_most, slot, filters."""
    form, problem, fields = request.POST, "", {}
    if request.method == "POST":
        try:
            queue = queue_create(
                site=active_site(request),
                actor=request.user,
                name=form.get("name", ""),
                findings=parse_findings(form.getlist("finding"), form.get("others", "")),
                order=form.get("order", ""),
                readers=_number(form.get("readers", "")),
                at_most=_number(form.get("at_most", "")),
                slot=form.get("slot", ""),
                named=_people(request),
                unlabelled="unlabelled" in form,
                received_after=_midnight(form.get("received_after", "")),
                received_before=_midnight(form.get("received_before", "")),
            )
        except CodedError as error:
            if error.code != "invalid":
                raise
            problem, fields = error.message, {name: texts[0] for name, texts in error.fields.items()}
        else:
            if not queue.items.exists():
                messages.info(request, _("No image matches: the queue is empty."))
            return redirect("pages:label_queue", queue.pk)
    context = queue_choices(active_site(request)) | {
        "form": form,
        "selected": form.getlist("finding"),
        "selected_people": form.getlist("named"),
        "posted": request.method == "POST",
        "problem": problem,
        "fields": fields,
    }
    return render(request, "labels/new_queue.html", context, status=400 if problem else 200)


@require_safe
def queue(request: HttpRequest, queue_id: UUID) -> HttpResponse:
    queue = queue_or_404(request.user, queue_id)
    return render(request, "labels/queue.html", queue_context(request, queue))


@require_POST
def close(request: HttpRequest, queue_id: UUID) -> HttpResponse:
    queue = queue_or_404(request.user, queue_id)
    demand(request.user, "label.manage", queue.site)
    queue_close(queue=queue, actor=request.user)
    messages.success(request, _("Queue closed. Its labels now count towards the ground truth."))
    return redirect("pages:label_queue", queue_id)


@require_POST
def next_case(request: HttpRequest, queue_id: UUID) -> HttpResponse:
    """Redirect to the reader's next case, or to the queue where none is left."""
    queue = queue_or_404(request.user, queue_id)
    if queue.closed_at is not None:
        messages.info(request, _("This queue is closed."))
        return redirect("pages:label_queue", queue_id)
    item = case_next(queue=queue, reader=request.user)
    if item is None:
        return redirect("pages:label_queue", queue_id)
    return redirect("pages:label_case", item.pk)


def _people(request: HttpRequest) -> list[User]:
    selected = request.POST.getlist("named")
    return [person for person in readers_at(active_site(request)) if str(person.pk) in selected]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0


def _midnight(text: str) -> datetime | None:
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    return timezone.make_aware(datetime.combine(day, datetime.min.time())) if day else None
