"""Model versions: the versions of each slot, a version with its card and comparison, promotion."""

from __future__ import annotations

from itertools import groupby
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from classifier.artifact.header import MAX_ARTIFACT_BYTES
from webapp.accounts.services import can, can_everywhere, demand, signed_in
from webapp.analysis.selectors import promotion_reach
from webapp.analysis.shadow import agreement
from webapp.audit.services import record
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.pages.access import active_site, at_active_site
from webapp.pages.calibration.views import status_context
from webapp.pages.display import SLOTS, name_of_slot
from webapp.pages.feedback import errors_shown
from webapp.pages.models.card import sections
from webapp.pages.models.comparison_tables import changed_scans, tables_of
from webapp.pages.request_data import body_chunks, declared_size
from webapp.registry.comparisons import comparison_request
from webapp.registry.models import Comparison, ModelStatus, ModelVersion, Promotion
from webapp.registry.selectors import (
    PromotionStatus,
    active_models,
    model_or_404,
    models_visible,
    promotion_status,
)
from webapp.registry.services import (
    may_promote,
    model_import,
    model_promote,
    model_rollback,
    shadow_set,
)
from webapp.scans.uploads.files import receive
from webapp.training.selectors import runs_visible, snapshot_or_404, snapshots_visible

MAX_RUNS = 10
ORDER = {ModelStatus.ACTIVE: 0, ModelStatus.CANDIDATE: 1, ModelStatus.RETIRED: 2, ModelStatus.REJECTED: 3}


@require_safe
@at_active_site("model.view")
def page(request: HttpRequest) -> HttpResponse:
    versions = sorted(models_visible(request.user), key=lambda v: (v.slot, ORDER[v.status], -v.number))
    by_slot = {slot: list(some) for slot, some in groupby(versions, key=lambda v: v.slot)}
    slots = [(name, slot, by_slot.get(slot, [])) for slot, name in SLOTS.items()]
    runs = runs_visible(request.user)[:MAX_RUNS]
    may_import = can(request.user, "training.start", active_site(request))
    context = {"slots": slots, "runs": runs, "may_import": may_import}
    return render(request, "models/models.html", context)


@require_safe
def model(request: HttpRequest, model_id: UUID) -> HttpResponse:
    version = model_or_404(request.user, model_id)
    active = active_models().get(version.slot)
    promotion_gate, judged = promotion_status(version, active)
    latest = version.comparisons.select_related("active").order_by("-created_at").first()
    context = {
        "version": version,
        "spec": version.model_spec,
        "slot": name_of_slot(version.slot),
        "at_site": status_context(active_site(request), version),
        "thresholds": [(f, version.model_spec.threshold(f)) for f in version.model_spec.findings],
        "sections": sections(version.card),
        "engines": version.engines.all(),
        "promotions": version.promotions.select_related("by", "previous"),
        "may_promote": may_promote(request.user, version),
        "reach": promotion_reach(version.slot) if may_promote(signed_in(request.user), version) else None,
        "may_override": can_everywhere(request.user, "model.override"),
        "may_shadow": can_everywhere(request.user, "model.promote"),
        "may_compare": version.status == ModelStatus.CANDIDATE
        and can(request.user, "training.start", version.site),
        "promotion_gate": promotion_gate,
        "needs_override": promotion_gate in (PromotionStatus.FAILED, PromotionStatus.UNJUDGED),
        "active": active,
        "snapshots": snapshots_visible(request.user).filter(slot=version.slot)[:20],
        "rollback_to": _rollback_to(version),
        "agreement": agreement(version) if version.shadow or version.shadows.exists() else None,
        **_comparison(judged or latest, request),
    }
    return render(request, "models/model.html", context)


def _comparison(row: Comparison | None, request: HttpRequest) -> dict[str, object]:
    if row is None or not row.report.get("cases"):
        return {"comparison": row}
    return {"comparison": row, **tables_of(row), "changes": changed_scans(row, request.user)}


def _rollback_to(version: ModelVersion) -> ModelVersion | None:
    """The version that a rollback of the slot would make active."""
    if version.status != ModelStatus.ACTIVE:
        return None
    latest = Promotion.objects.filter(model_version=version).select_related("previous").first()
    return latest.previous if latest else None


@require_POST
def promote(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Make the version the active one of its slot: POST `reason`, and `override` of the promotion gate."""
    version = model_or_404(request.user, model_id)
    demand(request.user, "model.promote", version.site)
    reason, override = request.POST.get("reason", ""), "override" in request.POST
    with errors_shown(request):
        model_promote(model_version=version, by=request.user, reason=reason, override=override)
        messages.success(request, _now_active(version))
    return redirect("pages:model", model_id)


@require_POST
def rollback(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Roll back from the active version to the previous one; POST may have a `reason`."""
    version = model_or_404(request.user, model_id)
    demand(request.user, "model.promote", version.site)
    with errors_shown(request):
        if version.status != ModelStatus.ACTIVE:
            raise CodedError("conflict", _("This model is no longer active."))
        promotion = model_rollback(slot=version.slot, by=request.user, reason=request.POST.get("reason", ""))
        version = promotion.model_version
        messages.success(request, _now_active(version))
    return redirect("pages:model", version.pk)


@require_POST
def compare(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Compare a candidate with the active model on a snapshot's test part: POST `snapshot`."""
    version = model_or_404(request.user, model_id)
    demand(request.user, "training.start", version.site)
    try:
        snapshot = snapshot_or_404(request.user, UUID(request.POST.get("snapshot", "")))
    except ValueError as error:
        raise CodedError("not_found") from error
    with errors_shown(request):
        comparison_request(
            candidate=version, manifest_name=snapshot.stored_name, fingerprint=snapshot.fingerprint,
            site=snapshot.site, by=request.user,
        )  # fmt: skip
    return redirect("pages:model", model_id)


@require_POST
def shadow(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Start or stop shadow scoring by a candidate: POST `on` = 1 or 0."""
    version = model_or_404(request.user, model_id)
    demand(request.user, "model.promote", version.site)
    with errors_shown(request):
        shadow_set(model_version=version, on=request.POST.get("on") == "1", by=request.user)
    return redirect("pages:model", model_id)


@require_safe
def artifact(request: HttpRequest, model_id: UUID) -> FileResponse:
    version = model_or_404(request.user, model_id)
    demand(request.user, "model.view", version.site)
    file = storage.opened(version.stored_name, "The model file")
    record(actor=request.user, site=version.site, action="model.downloaded", subject=version)
    return FileResponse(file, as_attachment=True, filename=f"{version}.safetensors")


@require_safe
def card_json(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """The model card of the artifact as JSON."""
    version = model_or_404(request.user, model_id)
    response = JsonResponse(
        {"model": str(version), "sha256": version.sha256, "spec": version.spec, "card": version.card}
    )
    response["Content-Disposition"] = f'attachment; filename="{version}-card.json"'
    return response


@require_POST
@at_active_site("training.start")
def import_model(request: HttpRequest) -> JsonResponse:
    """Register a model file (the raw body) as a candidate of the site."""
    size = declared_size(request)
    received = receive(body_chunks(request, size), max_bytes=MAX_ARTIFACT_BYTES)
    try:
        version = model_import(path=received.path, site=active_site(request), by=request.user)
    finally:
        received.path.unlink(missing_ok=True)
    return JsonResponse({"name": str(version), "href": reverse("pages:model", args=[version.pk])})


def _now_active(version: ModelVersion) -> str:
    names = {"model": version, "slot": name_of_slot(version.slot)}
    return _("%(model)s is now the active model for %(slot)s.") % names
