"""Registering model versions, and making one of them the active one of its slot."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max

from classifier.artifact.header import ArtifactError, Header, read_header
from webapp.accounts.models import Site, User
from webapp.accounts.services import can, can_everywhere
from webapp.audit.services import record
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.registry.models import Comparison, ModelStatus, ModelVersion, Promotion
from webapp.registry.selectors import GateStatus, gate_status

INSTALLED = "Installed with the program."
NUMBERING_ATTEMPTS = 10


def model_register(
    path: Path | str, *, by: User | None = None, site: Site | None = None, shipped: bool = False
) -> ModelVersion:
    """Copy an artifact into the store and record it as a candidate; the same bytes are the earlier version.

    Raises CodedError with an `ArtifactError`'s code (400) when the file is no Hilum model.
    """
    incoming = settings.HILUM_DATA / "incoming" / f"{uuid.uuid4().hex}.safetensors"
    incoming.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(path, incoming)
    try:
        header = read_header(incoming)
        earlier = ModelVersion.objects.filter(sha256=header.sha256).first()
        return earlier or _store(incoming, header, by=by, site=site, shipped=shipped)
    except ArtifactError as error:
        raise CodedError(
            error.code, error.message, "Choose a model file made by Hilum's training.", 400
        ) from error
    finally:
        incoming.unlink(missing_ok=True)


def model_import(*, path: Path, site: Site | None, by: User) -> ModelVersion:
    """Register a model file that was made elsewhere as a candidate of the site.

    Raises CodedError `forbidden`, what `model_register` raises, and `conflict` for a file that is another
    site's model already.
    """
    if not can(by, "training.start", site):
        raise CodedError("forbidden")
    version = model_register(path, by=by, site=site)
    if version.site_id and version.site_id != (site.pk if site else None):
        raise CodedError("conflict", "This model file is registered at another site.", status=409)
    return version


def model_promote(*, model_version: ModelVersion, by: User, reason: str, override: bool = False) -> Promotion:
    """Make a version the active one of its slot; the one before is retired. A rollback is another promotion.

    A slot's active model answers for every site, so promoting needs the permission at each of them, and the
    version belongs to all from then on. A candidate has to have passed the gate against the model that is
    active now; `override` lets somebody with `model.override` decide otherwise, which the promotion tells.
    On commit the sweeper is nudged, which queues the scans that waited (`analysis.services.backfill`).
    Raises CodedError `forbidden`, `reason_missing`, `promotion_gate_failed`, `conflict`, `artifact_damaged`.
    """
    _demand_everywhere(by, "model.promote")
    if not reason.strip():
        raise CodedError("reason_missing", "A reason is needed.", "Say why this model is to be used.", 400)
    return _activate(model_version, by=by, reason=reason.strip()[:500], override=override)


def model_rollback(*, slot: str, by: User, reason: str = "") -> Promotion:
    """Make the version before the active one the active one again; raises what `model_promote` raises."""
    latest = Promotion.objects.filter(model_version__slot=slot, model_version__status=ModelStatus.ACTIVE)
    promotion = latest.select_related("model_version", "previous").first()
    if promotion is None or promotion.previous is None:
        raise CodedError("conflict", "There is no earlier model to go back to.", "Promote a candidate.", 409)
    reason = reason.strip() or f"Rolled back from {promotion.model_version}."
    return model_promote(model_version=promotion.previous, by=by, reason=reason)


def may_promote(user: User, version: ModelVersion) -> bool:
    """Whether `model_promote` may take this version from this person now, the gate's word left aside."""
    return version.TRANSITIONS.allows(version.status, ModelStatus.ACTIVE) and can_everywhere(
        user, "model.promote"
    )


@transaction.atomic
def shadow_set(*, model_version: ModelVersion, on: bool, by: User) -> ModelVersion:
    """Let a candidate score new scans where no reader sees it, or end that; raises CodedErrors."""
    _demand_everywhere(by, "model.promote")
    candidates = ModelVersion.objects.filter(pk=model_version.pk, status=ModelStatus.CANDIDATE)
    if not candidates.update(shadow=on):
        raise CodedError("conflict", "Only a candidate can run in the shadow.", status=409)
    action = "model.shadow_started" if on else "model.shadow_ended"
    record(actor=by, site=model_version.site, action=action, subject=model_version)
    model_version.refresh_from_db()
    return model_version


def _demand_everywhere(by: User, permission: str) -> None:
    if not can_everywhere(by, permission):
        raise CodedError(
            "forbidden",
            "The active model answers for every site, and you may not do this at each of them.",
            "Ask somebody who may do it at every site.",
        )


def models_install(paths: Iterable[Path]) -> list[tuple[ModelVersion, bool]]:
    """Register the shipped artifacts; answers each version and whether it was made active now.

    One goes into an empty slot, or in the place of an earlier shipped one as long as no person has ever
    promoted anything there; else it stays a candidate.
    """
    installed = []
    for path in paths:
        version = model_register(path, shipped=True)
        activate = version.status == ModelStatus.CANDIDATE and _is_ours_to_fill(version.slot)
        if activate:
            _activate(version, by=None, reason=INSTALLED)
        installed.append((version, activate))
    return installed


def _is_ours_to_fill(slot: str) -> bool:
    active = ModelVersion.objects.filter(slot=slot, status=ModelStatus.ACTIVE).first()
    by_people = Promotion.objects.filter(model_version__slot=slot, by__isnull=False)
    return active is None or (active.shipped and not by_people.exists())


def _store(
    incoming: Path, header: Header, *, by: User | None, site: Site | None, shipped: bool
) -> ModelVersion:
    version = ModelVersion(
        slot=header.spec.slot,
        name=header.spec.name[:100],
        sha256=header.sha256,
        size=incoming.stat().st_size,
        spec=json.loads(header.spec.to_json()),
        card=header.card,
        shipped=shipped,
        site=site,
        registered_by=by,
    )
    version.stored_name = f"models/{version.id}.safetensors"
    storage.put_file(incoming, version.stored_name)
    for _ in range(NUMBERING_ATTEMPTS):
        try:
            return _number_and_save(version)
        except IntegrityError:
            # Somebody took the number, or registered the same bytes, a moment ago.
            earlier = ModelVersion.objects.filter(sha256=header.sha256).first()
            if earlier:
                storage.delete_file(version.stored_name)
                return earlier
    storage.delete_file(version.stored_name)
    raise CodedError("conflict")


@transaction.atomic
def _number_and_save(version: ModelVersion) -> ModelVersion:
    highest = ModelVersion.objects.filter(slot=version.slot).aggregate(n=Max("number"))["n"]
    version.number = (highest or 0) + 1
    version.save(force_insert=True)
    record(actor=version.registered_by, site=version.site, action="model.registered", subject=version)
    return version


def _activate(
    model_version: ModelVersion, *, by: User | None, reason: str, override: bool = False
) -> Promotion:
    """The only place where a model becomes active or stops being it."""
    if not _intact(model_version):
        raise CodedError(
            "artifact_damaged",
            "The model's file is missing or damaged.",
            "Register the model file again.",
            409,
        )
    with transaction.atomic():
        versions = ModelVersion.objects.select_for_update().filter(slot=model_version.slot).order_by("pk")
        by_key = {version.pk: version for version in versions}
        version = by_key[model_version.pk]
        previous = next((v for v in by_key.values() if v.status == ModelStatus.ACTIVE), None)
        _allow(version, ModelStatus.ACTIVE)
        comparison, overridden = _pass_gate(version, previous, by=by, override=override)
        # First the promotion: the database lets no status become or leave `active` without it.
        promotion = Promotion.objects.create(
            model_version=version, previous=previous, by=by, reason=reason,
            comparison=comparison, overridden=overridden, enacted=False,
        )  # fmt: skip
        if previous:
            previous.status = ModelStatus.RETIRED
            previous.save(update_fields=["status"])
        version.status, version.site, version.shadow = ModelStatus.ACTIVE, None, False
        version.save(update_fields=["status", "site", "shadow"])
        promotion.enacted = True
        promotion.save(update_fields=["enacted"])
        detail = {"slot": version.slot, "previous": str(previous.pk) if previous else None}
        if comparison:
            detail["comparison"] = str(comparison.pk)
        if overridden:
            detail["overridden"] = True
        record(actor=by, site=version.site, action="model.promoted", subject=version, detail=detail)
        notify_workers(Queue.CONTROL)
    model_version.refresh_from_db()
    return promotion


def _pass_gate(
    version: ModelVersion, active: ModelVersion | None, *, by: User | None, override: bool
) -> tuple[Comparison | None, bool]:
    """The comparison that speaks for the version, and whether the gate was overridden; raises."""
    standing, comparison = gate_status(version, active)
    if by is None or standing in (GateStatus.PASSED, GateStatus.EXEMPT):
        return comparison, False
    if override and can_everywhere(by, "model.override"):
        return comparison, True
    if standing == GateStatus.FAILED:
        message = "The gate has refused this candidate: " + " ".join(comparison.reasons)
    else:
        message = "The gate has not judged this candidate, by its policy now, beside the model active now."
    raise CodedError(
        "promotion_gate_failed", message, "Have it compared; or override the gate, if you may, and say why."
    )


def _allow(version: ModelVersion, target: str) -> None:
    if not version.TRANSITIONS.allows(version.status, target):
        raise CodedError(
            "conflict", f"A model version that is {version.status} cannot become {target}.", status=409
        )


def _intact(version: ModelVersion) -> bool:
    try:
        return read_header(storage.path_of(version.stored_name)).sha256 == version.sha256
    except (ArtifactError, OSError):
        return False
