"""Monitoring: what is watched at the active site, its alarms, and what people do about them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.models import Site
from webapp.accounts.services import can, for_sites
from webapp.core.errors import CodedError
from webapp.monitoring import services
from webapp.monitoring.models import Alarm, AlarmStatus
from webapp.monitoring.selectors import alarm_or_404, alarms_visible, charts, monitored_versions, summaries
from webapp.monitoring.texts import OUTCOMES, cases, heading, measure
from webapp.pages.access import active_site, at_active_site
from webapp.pages.models.views import SLOTS
from webapp.pages.monitoring import display as told
from webapp.registry.models import ModelVersion

ALARMS_AT_MOST = 20


@require_safe
@at_active_site("model.view")
def page(request: HttpRequest) -> HttpResponse:
    site, versions = active_site(request), monitored_versions()
    version = _chosen(versions, request.GET.get("slot", ""))
    alarms = list(alarms_visible(request.user).filter(site=site).order_by("-created_at")[:ALARMS_AT_MOST])
    context = {
        "site": site,
        "versions": [(one, SLOTS.get(one.slot, one.slot)) for one in versions],
        "version": version,
        "alarms": [_told(alarm) for alarm in alarms],
        "open": [_told(alarm) for alarm in alarms if alarm.status != AlarmStatus.CLOSED],
    }
    if version:
        found = charts(site, version)
        sites = for_sites(Site.objects.all(), request.user, "model.view", "pk")
        summed = summaries(sites, version)
        mine = next((one for one in summed if one.site_id == site.pk), None)
        context |= {
            "rows": told.rows_of(found),
            "collecting": told.collecting(found),
            "summary": mine,
            "body": mine.body if mine else None,
            "figures": told.figures_of(mine.body) if mine else [],
            "performance": told.performance_of(mine.body) if mine else [],
            "groups": told.groups_of(mine.body) if mine else [],
            "findings": told.findings_of(mine.body) if mine else [],
            "sites": told.sites_of(summed),
        }
    return render(request, "monitoring/monitoring.html", context)


@require_safe
def alarm(request: HttpRequest, alarm_id: UUID) -> HttpResponse:
    one = alarm_or_404(request.user, alarm_id)
    context = {**_told(one), "may_manage": can(request.user, "alarm.manage", one.site), "outcomes": OUTCOMES}
    return render(request, "monitoring/alarm.html", context)


@require_POST
def acknowledge(request: HttpRequest, alarm_id: UUID) -> HttpResponse:
    """POST `comment`, which may be empty."""
    comment = request.POST.get("comment", "")
    return _act(
        request,
        alarm_id,
        lambda one: services.alarm_acknowledge(alarm=one, actor=request.user, comment=comment),
    )


@require_POST
def comment(request: HttpRequest, alarm_id: UUID) -> HttpResponse:
    """POST `comment`."""
    words = request.POST.get("comment", "")
    return _act(
        request, alarm_id, lambda one: services.alarm_comment(alarm=one, actor=request.user, comment=words)
    )


@require_POST
def close(request: HttpRequest, alarm_id: UUID) -> HttpResponse:
    """POST `comment` and `outcome`: passed or accepted."""
    said = {name: request.POST.get(name, "") for name in ("outcome", "comment")}
    return _act(request, alarm_id, lambda one: services.alarm_close(alarm=one, actor=request.user, **said))


def _act(request: HttpRequest, alarm_id: UUID, act: Callable[[Alarm], Alarm]) -> HttpResponse:
    one = alarm_or_404(request.user, alarm_id)
    try:
        act(one)
    except CodedError as error:
        if error.code == "forbidden":
            raise
        messages.error(request, f"{error.message} {error.remedy}")
    return redirect("pages:alarm", alarm_id)


def _chosen(versions: list[ModelVersion], slot: str) -> ModelVersion | None:
    """The version of the asked slot; without one that of chest X-rays, or the first."""
    by_slot = {version.slot: version for version in versions}
    return by_slot.get(slot) or by_slot.get("cxr") or next(iter(versions), None)


def _told(alarm: Alarm) -> dict[str, object]:
    return {
        "alarm": alarm,
        "heading": heading(alarm),
        "measure": measure(alarm),
        "cases": cases(alarm),
        "history": [
            {"event": event, "outcome": OUTCOMES.get(event.outcome, "")} for event in alarm.history.all()
        ],
    }
