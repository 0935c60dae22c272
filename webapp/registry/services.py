"""Registering, importing and promoting model versions."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DataError, IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from classifier.artifact.header import NOT_AN_ARTIFACT, ArtifactError, Header, read_header
from webapp.accounts.models import Site, User
from webapp.accounts.services import can_everywhere, demand
from webapp.audit.services import record
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.registry.models import Comparison, ModelStatus, ModelVersion, Promotion, ServingEngine
from webapp.registry.selectors import PromotionStatus, promotion_status

INSTALLED = "Installed with Hilum."
NUMBERING_ATTEMPTS = 10


def model_register(
    path: Path | str, *, by: User | None = None, site: Site | None = None, shipped: bool = False
) -> ModelVersion:
    """Store an artifact as a candidate; the same bytes return the existing version.

    Raises CodedError with an `ArtifactError`'s code (400) if the file is not a Hilum model.
    """
    incoming = settings.HILUM_DATA / "incoming" / f"{uuid.uuid4().hex}.safetensors"
    incoming.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(path, incoming)
    try:
        header = read_header(incoming)
        earlier = ModelVersion.objects.filter(sha256=header.sha256).first()
        return earlier or _store(incoming, header, by=by, site=site, shipped=shipped)
    except ArtifactError as error:
        raise CodedError(error.code, error.message, "Choose a model file exported by Hilum.", 400) from error
    finally:
        incoming.unlink(missing_ok=True)


def model_import(*, path: Path, site: Site | None, by: User) -> ModelVersion:
    """Register an external model file as a candidate of the site.

    Raises CodedError `forbidden`, what `model_register` raises, and `conflict` for another site's model.
    """
    demand(by, "training.start", site)
    version = model_register(path, by=by, site=site)
    if version.site_id and version.site_id != (site.pk if site else None):
        raise CodedError("conflict", "This model is already registered at another site.")
    return version


def model_promote(*, model_version: ModelVersion, by: User, reason: str, override: bool = False) -> Promotion:
    """Make a version the active one of its slot and retire the previous one; a rollback is a promotion too.

    The active model serves every site, so this requires the permission at each, and the version becomes
    global. A candidate must have passed the promotion gate against the active model; a user with
    `model.override` may override it. Waiting scans are queued after the commit.
    Raises CodedError `forbidden`, `reason_missing`, `promotion_gate_failed`, `conflict`, `artifact_damaged`.
    """
    _demand_everywhere(by, "model.promote")
    if not reason.strip():
        raise CodedError("reason_missing", remedy="Enter why this model is to be used.")
    return _activate(model_version, by=by, reason=reason.strip()[:500], override=override)


def model_rollback(*, slot: str, by: User, reason: str = "") -> Promotion:
    """Promote the previously active version of the slot; raises what `model_promote` raises."""
    latest = Promotion.objects.filter(model_version__slot=slot, model_version__status=ModelStatus.ACTIVE)
    promotion = latest.select_related("model_version", "previous").first()
    if promotion is None or promotion.previous is None:
        raise CodedError(
            "conflict", f"Slot {slot} has no previous model to roll back to.", "Promote a candidate.", 409
        )
    reason = reason.strip() or f"Rolled back from {promotion.model_version}."
    return model_promote(model_version=promotion.previous, by=by, reason=reason)


def may_promote(user: User, version: ModelVersion) -> bool:
    """Whether this user may promote this version, apart from the promotion gate."""
    return version.TRANSITIONS.allows(version.status, ModelStatus.ACTIVE) and can_everywhere(
        user, "model.promote"
    )


@transaction.atomic
def shadow_set(*, model_version: ModelVersion, on: bool, by: User) -> ModelVersion:
    """Start or stop shadow scoring by a candidate. Raises CodedError `forbidden`, `conflict`."""
    _demand_everywhere(by, "model.promote")
    candidates = ModelVersion.objects.filter(pk=model_version.pk, status=ModelStatus.CANDIDATE)
    if not candidates.update(shadow=on):
        raise CodedError("conflict", "Only a candidate can run in shadow mode.")
    action = "model.shadow_started" if on else "model.shadow_ended"
    record(actor=by, site=model_version.site, action=action, subject=model_version)
    model_version.refresh_from_db()
    return model_version


def _demand_everywhere(by: User, permission: str) -> None:
    if not can_everywhere(by, permission):
        raise CodedError(
            "forbidden",
            "The active model serves all sites; this requires the permission at each of them.",
            "Ask a user with this permission at every site.",
        )


def models_install(paths: Iterable[Path]) -> list[tuple[ModelVersion, bool]]:
    """Register the shipped artifacts; returns each version and whether it was activated.

    Only a slot that never had an active model gets one: in an existing installation people decide.
    """
    installed = []
    for path in paths:
        version = model_register(path, shipped=True)
        used = Promotion.objects.filter(model_version__slot=version.slot).exists()
        activate = version.status == ModelStatus.CANDIDATE and not used
        if activate:
            _activate(version, by=None, reason=INSTALLED)
        installed.append((version, activate))
    return installed


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
            # Another request took the number, or registered the same bytes.
            earlier = ModelVersion.objects.filter(sha256=header.sha256).first()
            if earlier:
                storage.delete_file(version.stored_name)
                return earlier
        except (DataError, ValueError) as error:
            storage.delete_file(version.stored_name)
            raise ArtifactError(NOT_AN_ARTIFACT, "the model description cannot be stored") from error
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
    """The only place where a model becomes active or stops being active."""
    if not _intact(model_version):
        raise CodedError("artifact_damaged")
    with transaction.atomic():
        versions = ModelVersion.objects.select_for_update().filter(slot=model_version.slot).order_by("pk")
        by_key = {version.pk: version for version in versions}
        version = by_key[model_version.pk]
        previous = next((v for v in by_key.values() if v.status == ModelStatus.ACTIVE), None)
        if not version.TRANSITIONS.allows(version.status, ModelStatus.ACTIVE):
            raise CodedError("conflict", f"{version} is {version.status} and cannot become active.")
        comparison, overridden = _check_promotion_gate(version, previous, by=by, override=override)
        # The promotion first: database triggers allow the change of status only with it.
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
        detail: dict[str, Any] = {"slot": version.slot, "previous": str(previous.pk) if previous else None}
        detail |= {"comparison": str(comparison.pk)} if comparison else {}
        detail |= {"overridden": True} if overridden else {}
        record(actor=by, site=version.site, action="model.promoted", subject=version, detail=detail)
        notify_workers(Queue.CONTROL)
    model_version.refresh_from_db()
    return promotion


def _check_promotion_gate(
    version: ModelVersion, active: ModelVersion | None, *, by: User | None, override: bool
) -> tuple[Comparison | None, bool]:
    """The comparison that the promotion rests on, and whether its verdict was overridden."""
    status, comparison = promotion_status(version, active)
    if by is None or status in (PromotionStatus.PASSED, PromotionStatus.EXEMPT):
        return comparison, False
    if override and can_everywhere(by, "model.override"):
        return comparison, True
    message = "The candidate has not been compared with the active model under the current policy."
    if comparison and comparison.outcome == status:
        message = "The promotion gate could not judge the candidate: "
        if status == PromotionStatus.FAILED:
            message = "The candidate failed the promotion gate: "
        message += " ".join(comparison.reasons)
    raise CodedError(
        "promotion_gate_failed", message, "Run the comparison, or override the promotion gate with a reason."
    )


def _intact(version: ModelVersion) -> bool:
    try:
        return read_header(storage.path_of(version.stored_name)).sha256 == version.sha256
    except (ArtifactError, OSError):
        return False


def engine_chosen(*, version: ModelVersion, host: str, device: str, choice: dict[str, Any]) -> None:
    """Keep what runs the version on a host, in place of an earlier choice there."""
    ServingEngine.objects.update_or_create(
        model_version=version, host=host, defaults={"device": device, "chosen_at": timezone.now(), **choice}
    )
