"""Model versions: what each slot uses, each one's card, and promotion."""

from __future__ import annotations

from itertools import groupby
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from webapp.core.errors import CodedError
from webapp.pages.access import at_active_site, demand
from webapp.pages.card import sections
from webapp.registry.models import ModelStatus
from webapp.registry.selectors import model_or_404, models_visible
from webapp.registry.services import may_promote, model_promote
from webapp.training.selectors import runs_visible

SLOTS = {"cxr": "Chest X-ray", "ct": "CT slice", "phantom": "Phantoms (simulated pictures)"}
SHOWN_RUNS = 10
ORDER = {ModelStatus.ACTIVE: 0, ModelStatus.CANDIDATE: 1, ModelStatus.RETIRED: 2, ModelStatus.REJECTED: 3}


@require_safe
@at_active_site("model.view")
def page(request: HttpRequest) -> HttpResponse:
    versions = sorted(models_visible(request.user), key=lambda v: (v.slot, ORDER[v.status], -v.number))
    by_slot = {slot: list(some) for slot, some in groupby(versions, key=lambda v: v.slot)}
    slots = [(name, slot, by_slot.get(slot, [])) for slot, name in SLOTS.items()]
    runs = runs_visible(request.user)[:SHOWN_RUNS]
    return render(request, "pages/models.html", {"slots": slots, "runs": runs})


@require_safe
def card(request: HttpRequest, model_id: UUID) -> HttpResponse:
    version = model_or_404(request.user, model_id)
    context = {
        "version": version,
        "spec": version.model_spec,
        "slot": SLOTS.get(version.slot, version.slot),
        "thresholds": [(f, version.model_spec.threshold(f)) for f in version.model_spec.findings],
        "sections": sections(version.card),
        "promotions": version.promotions.select_related("by", "previous"),
        "may_promote": may_promote(request.user, version),
    }
    return render(request, "pages/model.html", context)


@require_POST
def promote(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Make the version the active one of its slot: POST `reason`."""
    version = model_or_404(request.user, model_id)
    demand(request, "model.promote", version.site)
    try:
        model_promote(model_version=version, by=request.user, reason=request.POST.get("reason", ""))
    except CodedError as error:
        if error.code == "forbidden":
            raise
        messages.error(request, f"{error.message} {error.remedy}")
    else:
        messages.success(
            request, f"{version} is now the active model for {SLOTS.get(version.slot, version.slot)}."
        )
    return redirect("pages:model", model_id)
