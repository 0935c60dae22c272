"""Calibration of a model version at the active site: its state, a preview, and setting it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.models import Site
from webapp.accounts.services import can
from webapp.core.errors import CodedError
from webapp.labels.calibration.cases import labelled_cases
from webapp.labels.calibration.choices import Choices
from webapp.labels.calibration.preview import LEAST_LABELLED, Preview, label_counts, preview
from webapp.labels.calibration.services import calibration_set
from webapp.pages.access import active_site, at_active_site
from webapp.pages.calibration import display
from webapp.pages.calibration.form import (
    PREVALENCES,
    RECALIBRATIONS,
    choices_of,
    form_context,
    hidden_fields,
    until_of,
)
from webapp.pages.feedback import errors_shown, show_error
from webapp.registry.calibrations import (
    active_calibration,
    calibration_changes,
    calibration_not_carried_over,
    calibration_use,
    calibrations,
    validation_prevalence,
)
from webapp.registry.models import ModelVersion, SiteCalibration
from webapp.registry.selectors import model_or_404

MAX_CHANGES = 50


def status_context(site: Site, version: ModelVersion) -> dict[str, Any]:
    """Template values of `calibration/_status.html`: which calibration the site uses, and since when."""
    change = calibration_changes(site, version).first()
    return {
        "site": site,
        "version": version,
        "calibration": change.calibration if change else None,
        "change": change,
        "not_carried_over": calibration_not_carried_over(site, version),
    }


@require_safe
@at_active_site("model.view")
def page(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """The calibration in use and its history; with choices in the query, a preview of them."""
    version, site = model_or_404(request.user, model_id), active_site(request)
    may_manage = can(request.user, "calibration.manage", site)
    found = _preview(request, site, version) if may_manage and "rule" in request.GET else None
    spec = version.model_spec
    cases = found.cases if found else labelled_cases(site, version)
    context = {
        **status_context(site, version),
        "may_manage": may_manage,
        "may_label": can(request.user, "label.manage", site),
        "least": LEAST_LABELLED,
        "scans": len(cases),
        "counts": label_counts(cases, spec).items(),
        "calibrations": [_row(one, version) for one in calibrations(site, version)],
        "changes": calibration_changes(site, version)[:MAX_CHANGES],
        **_form(request, site, version),
        **(_preview_context(request, found) if found else {}),
    }
    return render(request, "calibration/calibration.html", context)


@require_POST
@at_active_site("calibration.manage")
def set_calibration(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Set the previewed calibration: POST its choices, `until`, `fingerprint` and a `reason`."""
    version, site = model_or_404(request.user, model_id), active_site(request)
    with errors_shown(request):
        calibration = calibration_set(
            site=site,
            version=version,
            choices=choices_of(request.POST, version.model_spec),
            by=request.user,
            reason=request.POST.get("reason", ""),
            fingerprint=request.POST.get("fingerprint", ""),
            until=until_of(request.POST),
        )
        names = {"number": calibration.number, "site": site}
        messages.success(request, _("New results at %(site)s use site calibration %(number)s.") % names)
    return redirect("pages:calibration", model_id)


@require_POST
@at_active_site("calibration.manage")
def use(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Use an earlier calibration again: POST its `number`, empty for the model's own, and a `reason`."""
    version, site = model_or_404(request.user, model_id), active_site(request)
    number = request.POST.get("number", "")
    if number and not (number.isascii() and number.isdecimal() and len(number) < 7):
        raise CodedError("not_found")
    with errors_shown(request):
        change = calibration_use(
            site=site,
            version=version,
            number=int(number) if number else None,
            by=request.user,
            reason=request.POST.get("reason", ""),
        )
        text = _("New results at %(site)s use the model's own calibration.") % {"site": site}
        if change.calibration:
            names = {"number": change.calibration.number, "site": site}
            text = _("New results at %(site)s use site calibration %(number)s.") % names
        messages.success(request, text)
    return redirect("pages:calibration", model_id)


def _preview(request: HttpRequest, site: Site, version: ModelVersion) -> Preview | None:
    """The preview that the query asks for; None, and a message, where it is not valid."""
    try:
        choices = choices_of(request.GET, version.model_spec)
        return preview(site=site, version=version, choices=choices, by=request.user)
    except CodedError as error:
        show_error(request, error)
        return None


def _form(request: HttpRequest, site: Site, version: ModelVersion) -> dict[str, Any]:
    spec = version.model_spec
    try:
        choices = choices_of(request.GET, spec) if "rule" in request.GET else Choices()
    except CodedError:
        choices = Choices()
    now = active_calibration(site, version)
    thresholds = now.thresholds if now else {f: spec.threshold(f) for f in spec.findings}
    return form_context(choices, spec, thresholds, validation_prevalence(version))


def _preview_context(request: HttpRequest, found: Preview) -> dict[str, Any]:
    return {
        "found": found,
        "patients": len(set(found.cases.patients)),
        "points": display.point_rows(found),
        "alarms": display.alarm_rows(found),
        "prevalence_rows": display.prevalence_rows(found),
        "charts": display.charts(found),
        "hidden": hidden_fields(request.GET),
    }


def _row(one: SiteCalibration, version: ModelVersion) -> dict[str, Any]:
    choices = one.choices
    return {
        "one": one,
        "recalibration": RECALIBRATIONS[choices["recalibration"]],
        "prevalence": PREVALENCES[choices["prevalence"]],
        "thresholds": [(f, one.thresholds[f]) for f in version.model_spec.findings],
    }
