"""Which calibration a site uses for a model version, and switching between them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max, QuerySet

from webapp.accounts.models import Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.registry.models import CalibrationChange, ModelVersion, SiteCalibration


def active_calibration(site: Site | uuid.UUID, version: ModelVersion | uuid.UUID) -> SiteCalibration | None:
    """The calibration that new results of the version at the site use; None: the model's own."""
    latest = CalibrationChange.objects.filter(site=site, model_version=version).order_by("-created_at")
    change = latest.select_related("calibration").first()
    return change.calibration if change else None


def calibrations(site: Site, version: ModelVersion) -> QuerySet[SiteCalibration]:
    """The site's calibrations of the version, newest first."""
    return SiteCalibration.objects.filter(site=site, model_version=version).select_related("by")


def calibration_changes(site: Site, version: ModelVersion) -> QuerySet[CalibrationChange]:
    """When the site changed which calibration it uses, newest first."""
    changes = CalibrationChange.objects.filter(site=site, model_version=version)
    return changes.select_related("calibration", "by").order_by("-created_at")


def calibration_not_carried_over(site: Site, version: ModelVersion) -> SiteCalibration | None:
    """The site's latest calibration of another version of the slot, while this version never had one."""
    if CalibrationChange.objects.filter(site=site, model_version=version).exists():
        return None
    others = SiteCalibration.objects.filter(site=site, model_version__slot=version.slot)
    others = others.exclude(model_version=version).select_related("model_version")
    return others.order_by("-created_at").first()


def validation_prevalence(version: ModelVersion) -> dict[str, float]:
    """Share of each finding in the model's validation data, by its card; empty if the card has no counts."""
    counts: dict[str, float] = dict.fromkeys(version.model_spec.findings, 0.0)
    total = 0.0
    for row in version.card.get("images") or []:
        named = str(row.get("finding", "")).split("|")
        if named == ["unknown"] or not isinstance(row.get("val"), int):
            continue
        total += row["val"]
        for finding in set(named) & set(counts):
            counts[finding] += row["val"]
    if not total or not all(counts.values()):
        return {}
    whole = sum(counts.values()) if version.model_spec.activation == "softmax" else total
    return {finding: count / whole for finding, count in counts.items()}


@transaction.atomic
def calibration_add(
    *,
    site: Site,
    version: ModelVersion,
    choices: Mapping[str, Any],
    correction: Mapping[str, Any],
    thresholds: Mapping[str, float],
    report: Mapping[str, Any],
    by: User,
    reason: str,
) -> SiteCalibration:
    """Add a calibration and use it from now on. Raises CodedError `forbidden`, `reason_missing`."""
    reason = _permitted(site, by, reason)
    # Two at once would take the same number.
    ModelVersion.objects.select_for_update(no_key=True).get(pk=version.pk)
    held = SiteCalibration.objects.filter(site=site, model_version=version)
    calibration = SiteCalibration.objects.create(
        site=site,
        model_version=version,
        number=(held.aggregate(n=Max("number"))["n"] or 0) + 1,
        choices=dict(choices),
        correction=dict(correction),
        thresholds=dict(thresholds),
        report=dict(report),
        by=by,
        reason=reason,
    )
    _use(site, version, calibration, by, reason)
    return calibration


@transaction.atomic
def calibration_use(
    *, site: Site, version: ModelVersion, number: int | None, by: User, reason: str
) -> CalibrationChange:
    """Use an earlier calibration again, or the model's own (`number` None).

    Results that exist keep the one that they were made with. Raises CodedError `forbidden`,
    `reason_missing`, `not_found` for a number that the site does not have, `conflict` for the one in use.
    """
    reason = _permitted(site, by, reason)
    ModelVersion.objects.select_for_update(no_key=True).get(pk=version.pk)
    calibration = None
    if number is not None:
        calibration = SiteCalibration.objects.filter(site=site, model_version=version, number=number).first()
        if calibration is None:
            raise CodedError("not_found")
    if calibration == active_calibration(site, version):
        raise CodedError("conflict", "This calibration is in use already.", "Choose another one.")
    return _use(site, version, calibration, by, reason)


def _permitted(site: Site, by: User, reason: str) -> str:
    demand(by, Permission.CALIBRATION_MANAGE, site)
    if not reason.strip():
        raise CodedError("reason_missing", remedy="Enter why the calibration is changed.")
    return reason.strip()[:500]


def _use(
    site: Site, version: ModelVersion, calibration: SiteCalibration | None, by: User, reason: str
) -> CalibrationChange:
    change = CalibrationChange.objects.create(
        site=site, model_version=version, calibration=calibration, by=by, reason=reason
    )
    detail = {"model": str(version), "number": calibration.number if calibration else None}
    record(actor=by, site=site, action="calibration.changed", subject=calibration or version, detail=detail)
    return change
