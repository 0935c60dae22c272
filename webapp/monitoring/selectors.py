"""Reading monitored signals and alarms."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Prefetch, QuerySet

from webapp.accounts.models import Membership, Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import for_sites
from webapp.core.queries import get_or_404
from webapp.monitoring import streams
from webapp.monitoring.kinds import MODEL_KINDS, Signal
from webapp.monitoring.models import (
    Alarm,
    AlarmEvent,
    AlarmStatus,
    Baseline,
    MonitoringRun,
    MonitoringSummary,
)
from webapp.registry.models import ModelVersion
from webapp.registry.selectors import active_models


@dataclass(frozen=True)
class Chart:
    """One signal at a site: its current run, or how many cases the baseline still needs."""

    kind: Signal
    version: ModelVersion | None
    run: MonitoringRun | None
    missing: int = 0
    alarm: Alarm | None = None


def open_alarms(site: Site | None = None) -> QuerySet[Alarm]:
    """The alarms that are not closed, acknowledged ones too, newest first; of every site for None."""
    alarms = Alarm.objects.exclude(status=AlarmStatus.CLOSED).select_related("site", "model_version")
    return alarms if site is None else alarms.filter(site=site)


def alarms_visible(user: User, permission: str = "model.view") -> QuerySet[Alarm]:
    """The alarms of the user's sites with their history, newest first."""
    history = Prefetch("history", queryset=AlarmEvent.objects.select_related("by"))
    alarms = for_sites(Alarm.objects.all(), user, permission)
    return alarms.select_related("site", "model_version").prefetch_related(history)


def alarm_or_404(user: User, alarm_id: uuid.UUID, permission: str = "model.view") -> Alarm:
    return get_or_404(alarms_visible(user, permission), alarm_id)


def monitored_versions() -> list[ModelVersion]:
    """The active versions; only these are monitored."""
    return sorted(active_models().values(), key=lambda version: version.slot)


def charts(site: Site, version: ModelVersion) -> list[Chart]:
    """Every signal of the version at the site, and refusals; a bounded number of queries."""
    keys = [(kind, version if kind in MODEL_KINDS else None) for kind in Signal]
    alarms = {(alarm.kind, alarm.model_version_id): alarm for alarm in open_alarms(site)}
    runs = {
        (r.baseline.kind, r.baseline.model_version_id): r
        for r in MonitoringRun.objects.filter(ended_at=None, baseline__ended_at=None, baseline__site=site)
        .select_related("baseline", "alarm")
        .defer("baseline__data")
    }
    found = []
    for kind, of in keys:
        key = (kind, of.pk if of else None)
        run = runs.get(key)
        missing = 0 if run else settings.HILUM_DRIFT_BASELINE - waiting(site, of, kind)
        found.append(Chart(kind, of, run, max(missing, 0), alarms.get(key)))
    return found


def waiting(site: Site, version: ModelVersion | None, kind: Signal) -> int:
    """How many cases of the next baseline have been collected, at most as many as it needs."""
    most = settings.HILUM_DRIFT_BASELINE
    return streams.count(site, version, kind, after=baseline_start(site, version, kind), most=most)


def baseline_start(site: Site, version: ModelVersion | None, kind: Signal) -> streams.StreamPosition | None:
    """Where the next baseline starts: at an accepted change; None: at the first case."""
    ended = Baseline.objects.filter(site=site, model_version=version, kind=kind, resumes__isnull=False)
    latest = ended.order_by("-ended_at").values_list("resumes", flat=True).first()
    return streams.StreamPosition(latest) if latest else None


def current_run(site: Site, version: ModelVersion | None, kind: Signal) -> MonitoringRun | None:
    of = {"baseline__site": site, "baseline__model_version": version, "baseline__kind": kind}
    runs = MonitoringRun.objects.filter(**of, baseline__ended_at=None, ended_at=None)
    return runs.select_related("baseline__site", "baseline__model_version").first()


def earlier_runs(runs: Iterable[MonitoringRun], most: int = 3) -> dict[uuid.UUID, list[MonitoringRun]]:
    """The ended runs before these ones, by baseline, oldest first."""
    by_baseline = {run.baseline_id: run.number for run in runs}
    found: dict[uuid.UUID, list[MonitoringRun]] = {key: [] for key in by_baseline}
    for run in MonitoringRun.objects.filter(baseline__in=by_baseline, ended_at__isnull=False).order_by(
        "number"
    ):
        if run.number >= by_baseline[run.baseline_id] - most:
            found[run.baseline_id].append(run)
    return found


def summaries(sites: Iterable[Site] | QuerySet, version: ModelVersion) -> list[MonitoringSummary]:
    found = MonitoringSummary.objects.filter(site__in=sites, model_version=version)
    return list(found.select_related("site").order_by("site__name"))


def alarms_to_mail() -> list[Alarm]:
    """Open alarms that have not been mailed, oldest first."""
    return list(open_alarms().filter(status=AlarmStatus.OPEN, mailed_at=None).order_by("created_at"))


def recipients(site: Site) -> list[str]:
    """E-mail addresses of the members who may manage the site's alarms."""
    members = Membership.objects.filter(site=site, user__is_active=True).select_related("user", "role")
    granted = [m.user.email for m in members if Permission.ALARM_MANAGE in m.role.permissions]
    return sorted({address for address in granted if address})
