"""Training: its runs, one run as it goes on, the frozen data sets, and when it starts by itself."""

from __future__ import annotations

from datetime import time
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.dates import WEEKDAYS as WEEKDAYS_BY_NUMBER
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.services import can
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.pages.access import active_site, at_active_site, demand
from webapp.pages.models.views import SLOTS
from webapp.registry.models import Comparison
from webapp.training.models import Cadence, RunStatus, Start, TrainingRun, TrainingSchedule
from webapp.training.schedules import schedule_delete, schedule_set
from webapp.training.selectors import (
    run_or_404,
    runs_visible,
    schedule_or_404,
    schedules_visible,
    snapshot_or_404,
    snapshots_visible,
)
from webapp.training.services import training_cancel, training_start
from webapp.training.snapshots import snapshot_create

SHOWN_RUNS, SHOWN_SNAPSHOTS = 50, 20
WEEKDAYS = tuple(WEEKDAYS_BY_NUMBER.values())  # Django's own, translated
NUMBERS = {"epochs": int, "size": int, "batch": int, "lr": float, "seed": int}


@require_safe
@at_active_site("model.view")
def page(request: HttpRequest) -> HttpResponse:
    site = active_site(request)
    schedules = list(schedules_visible(request.user))
    mine = next(
        (schedule for schedule in schedules if schedule.site_id == site.pk and schedule.slot == "cxr"), None
    )
    context = {
        "runs": runs_visible(request.user)[:SHOWN_RUNS],
        "snapshots": snapshots_visible(request.user)[:SHOWN_SNAPSHOTS],
        "schedules": schedules,
        "schedule": mine or TrainingSchedule(site=site, at=time(2, 0)),
        "slots": SLOTS,
        "weekdays": list(enumerate(WEEKDAYS)),
        "cadences": Cadence.choices,
        "may_train": can(request.user, "training.start", site),
    }
    return render(request, "training/training.html", context)


@require_POST
@at_active_site("training.start")
def freeze(request: HttpRequest) -> HttpResponse:
    """Freeze what is labelled at the site: POST `slot`."""
    try:
        snapshot, made = snapshot_create(
            site=active_site(request), slot=request.POST.get("slot", "cxr"), actor=request.user
        )
    except CodedError as error:
        return _told(request, error)
    if not made:
        messages.info(request, _("The labelled data have not changed: this is the snapshot that there was."))
    return redirect("pages:snapshot", snapshot.pk)


@require_safe
def snapshot(request: HttpRequest, snapshot_id: UUID) -> HttpResponse:
    frozen = snapshot_or_404(request.user, snapshot_id)
    context = {
        "snapshot": frozen,
        "slot": SLOTS.get(frozen.slot, frozen.slot),
        "runs": runs_visible(request.user).filter(snapshot=frozen),
        "may_train": can(request.user, "training.start", frozen.site),
    }
    return render(request, "training/snapshot.html", context)


@require_safe
def manifest(request: HttpRequest, snapshot_id: UUID) -> FileResponse:
    """The frozen manifest: pseudonymous, yet with each image's findings and place in the store."""
    frozen = snapshot_or_404(request.user, snapshot_id)
    demand(request, "training.start", frozen.site)
    name = f"snapshot-{frozen.fingerprint[:10]}.csv"
    return FileResponse(storage.opened(frozen.stored_name, "The manifest"), as_attachment=True, filename=name)


@require_POST
@at_active_site("training.start")
def start(request: HttpRequest) -> HttpResponse:
    """Start a run: POST `snapshot` (or none: what is labelled now), `start`, and options that differ."""
    try:
        key = request.POST.get("snapshot")
        frozen = snapshot_or_404(request.user, UUID(key)) if key else None
        run = training_start(
            site=active_site(request),
            actor=request.user,
            snapshot=frozen,
            slot=request.POST.get("slot", "cxr"),
            start=request.POST.get("start", Start.ACTIVE),
            config=_options(request),
        )
    except ValueError as error:
        raise CodedError("invalid") from error
    except CodedError as error:
        if error.code in ("forbidden", "not_found"):
            raise
        return _told(request, error)
    return redirect("pages:run", run.pk)


@require_safe
def run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    return render(request, "training/run.html", _run_context(request, run_id))


@require_safe
def run_state(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """The part of the run's page that changes, for it to be renewed."""
    return render(request, "training/_run_state.html", _run_context(request, run_id))


@require_POST
def run_cancel(request: HttpRequest, run_id: UUID) -> HttpResponse:
    training = run_or_404(request.user, run_id)
    demand(request, "training.start", training.site)
    try:
        training_cancel(run=training, actor=request.user)
    except CodedError as error:
        messages.error(request, f"{error.message} {error.remedy}")
    return redirect("pages:run", run_id)


@require_POST
@at_active_site("training.start")
def schedule_save(request: HttpRequest) -> HttpResponse:
    """Write the site's schedule of a slot: POST its fields."""
    said = request.POST
    rules = {
        "enabled": "enabled" in said,
        "cadence": said.get("cadence", Cadence.NEVER),
        "weekday": _whole(said.get("weekday")),
        "day": _whole(said.get("day")),
        "at": _clock(said.get("at", "")),
        "new_labels": _whole(said["new_labels"]) if said.get("new_labels") else None,
        "on_drift": "on_drift" in said,
        "start": said.get("start", Start.ACTIVE),
    }
    try:
        schedule_set(
            site=active_site(request), slot=said.get("slot", "cxr"), actor=request.user,
            rules={name: value for name, value in rules.items() if name == "new_labels" or value is not None},
        )  # fmt: skip
    except CodedError as error:
        return _told(request, error)
    messages.success(request, _("The schedule is kept."))
    return redirect("pages:training")


@require_POST
def schedule_remove(request: HttpRequest, schedule_id: UUID) -> HttpResponse:
    schedule = schedule_or_404(request.user, schedule_id)
    demand(request, "training.start", schedule.site)
    schedule_delete(schedule=schedule, actor=request.user)
    messages.success(request, _("Nothing starts by this schedule any more."))
    return redirect("pages:training")


def _run_context(request: HttpRequest, run_id: UUID) -> dict[str, Any]:
    training = run_or_404(request.user, run_id)
    comparison = None
    if training.candidate:
        comparisons = training.candidate.comparisons.select_related("active").defer("changes")
        comparison = comparisons.order_by("-created_at").first()
    return {
        "run": training,
        "validation": getattr(training.snapshot, "validation", None) if training.snapshot else None,
        "comparison": comparison,
        "settled": is_settled(training, comparison),
        "may_cancel": not training.finished and can(request.user, "training.start", training.site),
    }


def is_settled(training: TrainingRun, comparison: Comparison | None) -> bool:
    """Whether nothing will change on the page any more by itself."""
    judging = comparison is not None and comparison.status in ("queued", "running")
    return training.finished and not (training.status == RunStatus.DONE and judging)


def _options(request: HttpRequest) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, kind in NUMBERS.items():
        if text := request.POST.get(name, "").strip():
            options[name] = kind(text)
    return options


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdigit() else None


def _clock(text: str) -> time | None:
    try:
        return time.fromisoformat(text)
    except ValueError:
        return None


def _told(request: HttpRequest, error: CodedError) -> HttpResponse:
    fields = "; ".join(f"{name}: {' '.join(said)}" for name, said in error.fields.items())
    messages.error(request, f"{error.message} {fields or error.remedy}")
    return redirect("pages:training")
