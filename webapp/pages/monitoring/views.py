"""Monitoring: the signals and alarms of the active site, and the actions on an alarm."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.models import Site
from webapp.accounts.services import can, for_sites, signed_in
from webapp.monitoring import services
from webapp.monitoring.models import Alarm, AlarmStatus
from webapp.monitoring.readers import reader_changes
from webapp.monitoring.selectors import alarm_or_404, alarms_visible, charts, monitored_versions, summaries
from webapp.monitoring.texts import OUTCOMES, cases, heading, measure
from webapp.pages.access import active_site, at_active_site
from webapp.pages.calibration.views import status_context
from webapp.pages.display import name_of_slot
from webapp.pages.feedback import errors_shown
from webapp.pages.monitoring import context as tables
from webapp.registry.models import ModelVersion

MAX_ALARMS = 20


@require_safe
@at_active_site("model.view")
def page(request: HttpRequest) -> HttpResponse:
    site, versions = active_site(request), monitored_versions()
    version = _selected(versions, request.GET.get("slot", ""))
    alarms = alarms_visible(request.user).filter(site=site).order_by("-created_at")[:MAX_ALARMS]
    rows = [_alarm_context(alarm) for alarm in alarms]
    # Colleagues' figures are for those responsible for the model.
    all_readers = can(request.user, "alarm.manage", site)
    context = {
        "site": site,
        "versions": [(one, name_of_slot(one.slot)) for one in versions],
        "version": version,
        "alarms": rows,
        "readers": reader_changes(site, only=None if all_readers else signed_in(request.user)),
        "all_readers": all_readers,
        "open": [row for row in rows if row["alarm"].status != AlarmStatus.CLOSED],
    }
    if version:
        context |= _version_context(request, site, version)
    return render(request, "monitoring/monitoring.html", context)


def _version_context(request: HttpRequest, site: Site, version: ModelVersion) -> dict[str, object]:
    found = charts(site, version)
    sites = for_sites(Site.objects.all(), request.user, "model.view", "pk")
    by_site = summaries(sites, version)
    own = next((one for one in by_site if one.site_id == site.pk), None)
    context = {
        "signals": tables.signals(found),
        "collecting": tables.collecting(found),
        "summary": own,
        "sites": tables.site_rows(by_site),
        "at_site": status_context(site, version),
    }
    if own:
        context |= {
            "body": own.body,
            "figures": tables.figures(own.body),
            "performance": tables.performance_rows(own.body),
            "groups": tables.group_tables(own.body),
            "findings": tables.findings_of(own.body),
        }
    return context


@require_safe
def alarm(request: HttpRequest, alarm_id: UUID) -> HttpResponse:
    one = alarm_or_404(request.user, alarm_id)
    may_manage = can(request.user, "alarm.manage", one.site)
    return render(request, "monitoring/alarm.html", {**_alarm_context(one), "may_manage": may_manage})


@require_POST
def acknowledge(request: HttpRequest, alarm_id: UUID) -> HttpResponse:
    """POST `comment`, which may be empty."""
    return _act(request, alarm_id, services.alarm_acknowledge, "comment")


@require_POST
def comment(request: HttpRequest, alarm_id: UUID) -> HttpResponse:
    """POST `comment`."""
    return _act(request, alarm_id, services.alarm_comment, "comment")


@require_POST
def close(request: HttpRequest, alarm_id: UUID) -> HttpResponse:
    """POST `comment` and `outcome`: passed or accepted."""
    return _act(request, alarm_id, services.alarm_close, "comment", "outcome")


def _act(request: HttpRequest, alarm_id: UUID, act: Callable[..., Alarm], *fields: str) -> HttpResponse:
    one = alarm_or_404(request.user, alarm_id)
    with errors_shown(request):
        act(alarm=one, actor=request.user, **{name: request.POST.get(name, "") for name in fields})
    return redirect("pages:alarm", alarm_id)


def _selected(versions: list[ModelVersion], slot: str) -> ModelVersion | None:
    """The version of the requested slot, else that for chest X-rays, else the first."""
    by_slot = {version.slot: version for version in versions}
    return by_slot.get(slot) or by_slot.get("cxr") or next(iter(versions), None)


def _alarm_context(alarm: Alarm) -> dict[str, object]:
    events = [{"event": event, "outcome": OUTCOMES.get(event.outcome, "")} for event in alarm.history.all()]
    return {
        "alarm": alarm,
        "heading": heading(alarm),
        "measure": measure(alarm),
        "cases": cases(alarm),
        "history": events,
    }
