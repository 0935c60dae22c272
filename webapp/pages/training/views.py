"""Training: runs with their progress, snapshots, and the schedules of automatic retraining."""

from __future__ import annotations

from datetime import time
from math import ceil
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from classifier.contract import Slot
from classifier.data.split import FRACTIONS
from webapp.accounts.services import can, demand
from webapp.audit.services import record
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.pages.access import active_site, at_active_site
from webapp.pages.display import SLOTS, name_of_finding, name_of_slot
from webapp.pages.feedback import errors_shown, show_error
from webapp.registry.models import Comparison
from webapp.registry.promotion_gate import recommended_cases
from webapp.registry.selectors import active_models, current_policy
from webapp.training import snapshots
from webapp.training.models import Cadence, RunStatus, Snapshot, Start, TrainingRun, TrainingSchedule
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

MAX_RUNS, MAX_SNAPSHOTS = 50, 20
STARTS = {Start.ACTIVE: gettext_lazy("the active model"), Start.SCRATCH: gettext_lazy("from scratch")}
OPTIONS = {"epochs": int, "size": int, "batch": int, "lr": float, "seed": int}


@require_safe
@at_active_site("model.view")
def page(request: HttpRequest) -> HttpResponse:
    site = active_site(request)
    schedules = list(schedules_visible(request.user))
    active = active_models().get(Slot.CXR)
    own = next((one for one in schedules if one.site_id == site.pk and one.slot == "cxr"), None)
    context = {
        "runs": runs_visible(request.user)[:MAX_RUNS],
        "snapshots": snapshots_visible(request.user)[:MAX_SNAPSHOTS],
        "schedules": schedules,
        "schedule": own or TrainingSchedule(site=site, at=time(2, 0)),
        "slots": SLOTS,
        "starts": list(STARTS.items()),
        "weekdays": list(WEEKDAYS.items()),
        "cadences": Cadence.choices,
        "may_train": can(request.user, "training.start", site),
        **_minimum(len(active.model_spec.findings) if active else 2),
    }
    return render(request, "training/training.html", context)


def _minimum(findings: int) -> dict[str, int]:
    """The test cases per finding that the promotion policy requires, and how many images that takes."""
    rules = current_policy()[1]
    return {
        "min_test_cases": rules.min_cases,
        "recommended_test_cases": recommended_cases(rules, findings),
        "min_images": ceil(rules.min_cases / FRACTIONS["test"]),
    }


def too_few_test_cases(snapshot: Snapshot) -> list[tuple[str, int]]:
    """The findings with fewer test cases than the promotion policy requires, and their number."""
    cases, minimum = snapshot.counts["parts"]["test"]["findings"], current_policy()[1].min_cases
    return [(name_of_finding(finding), n) for finding, n in cases.items() if n < minimum]


@require_POST
@at_active_site("training.start")
def create_snapshot(request: HttpRequest) -> HttpResponse:
    """Create a snapshot of the site's current labels: POST `slot`."""
    site, slot = active_site(request), request.POST.get("slot", "cxr")
    try:
        snapshot, created = snapshots.snapshot_create(site=site, slot=slot, actor=request.user)
    except CodedError as error:
        return _to_training(request, error)
    if not created:
        messages.info(request, _("Labels have not changed since this snapshot."))
    return redirect("pages:snapshot", snapshot.pk)


@require_safe
def snapshot(request: HttpRequest, snapshot_id: UUID) -> HttpResponse:
    snapshot = snapshot_or_404(request.user, snapshot_id)
    context = {
        "snapshot": snapshot,
        "slot": name_of_slot(snapshot.slot),
        "starts": list(STARTS.items()),
        "too_few": too_few_test_cases(snapshot),
        **_minimum(len(snapshot.findings)),
        "runs": runs_visible(request.user).filter(snapshot=snapshot),
        "may_train": can(request.user, "training.start", snapshot.site),
    }
    return render(request, "training/snapshot.html", context)


@require_safe
def manifest(request: HttpRequest, snapshot_id: UUID) -> FileResponse:
    """The snapshot's manifest: pseudonymous, but with each image's findings and path in the store."""
    snapshot = snapshot_or_404(request.user, snapshot_id)
    demand(request.user, "training.start", snapshot.site)
    name = f"snapshot-{snapshot.fingerprint[:10]}.csv"
    file = storage.opened(snapshot.stored_name, "The manifest")
    record(actor=request.user, site=snapshot.site, action="snapshot.exported", subject=snapshot)
    return FileResponse(file, as_attachment=True, filename=name)


@require_POST
@at_active_site("training.start")
def start(request: HttpRequest) -> HttpResponse:
    """Start a run: POST `snapshot` (default: a new one of the current labels), `start`, and options."""
    try:
        key = request.POST.get("snapshot")
        snapshot = snapshot_or_404(request.user, UUID(key)) if key else None
        run = training_start(
            site=active_site(request),
            actor=request.user,
            snapshot=snapshot,
            slot=request.POST.get("slot", "cxr"),
            start=request.POST.get("start", Start.ACTIVE),
            config=_options(request),
        )
    except ValueError as error:
        raise CodedError("invalid") from error
    except CodedError as error:
        return _to_training(request, error)
    return redirect("pages:run", run.pk)


@require_safe
def run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    return render(request, "training/run.html", _run_context(request, run_id))


@require_safe
def run_state(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """The part of the run's page that the script refreshes."""
    return render(request, "training/_run_state.html", _run_context(request, run_id))


@require_POST
def run_cancel(request: HttpRequest, run_id: UUID) -> HttpResponse:
    training = run_or_404(request.user, run_id)
    demand(request.user, "training.start", training.site)
    with errors_shown(request):
        training_cancel(run=training, actor=request.user)
    return redirect("pages:run", run_id)


@require_POST
@at_active_site("training.start")
def schedule_save(request: HttpRequest) -> HttpResponse:
    """Save the site's schedule for a slot: POST its fields."""
    form = request.POST
    rules = {
        "enabled": "enabled" in form,
        "cadence": form.get("cadence", Cadence.NEVER),
        "weekday": _whole(form.get("weekday")),
        "day": _whole(form.get("day")),
        "at": _clock(form.get("at", "")),
        "new_labels": _whole(form["new_labels"]) if form.get("new_labels") else None,
        "on_drift": "on_drift" in form,
        "start": form.get("start", Start.ACTIVE),
    }
    with errors_shown(request):
        schedule_set(
            site=active_site(request), slot=form.get("slot", "cxr"), actor=request.user,
            rules={name: value for name, value in rules.items() if name == "new_labels" or value is not None},
        )  # fmt: skip
        messages.success(request, _("Schedule saved."))
    return redirect("pages:training")


@require_POST
def schedule_remove(request: HttpRequest, schedule_id: UUID) -> HttpResponse:
    schedule = schedule_or_404(request.user, schedule_id)
    demand(request.user, "training.start", schedule.site)
    schedule_delete(schedule=schedule, actor=request.user)
    messages.success(request, _("Schedule deleted."))
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
    """Whether the page will not change any more."""
    comparing = comparison is not None and comparison.status in ("queued", "running")
    return training.finished and not (training.status == RunStatus.DONE and comparing)


def _options(request: HttpRequest) -> dict[str, Any]:
    texts = {name: request.POST.get(name, "").strip() for name in OPTIONS}
    return {name: OPTIONS[name](text) for name, text in texts.items() if text}


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdigit() else None


def _clock(text: str) -> time | None:
    try:
        return time.fromisoformat(text)
    except ValueError:
        return None


def _to_training(request: HttpRequest, error: CodedError) -> HttpResponse:
    show_error(request, error)
    return redirect("pages:training")
