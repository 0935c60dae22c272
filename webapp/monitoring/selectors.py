"""Reading what is watched, and what came of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Prefetch, QuerySet

from webapp.accounts.models import Membership, Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import for_sites
from webapp.core.errors import CodedError
from webapp.monitoring import streams
from webapp.monitoring.kinds import OF_MODELS, Kind
from webapp.monitoring.models import Alarm, AlarmEvent, AlarmStatus, Baseline, Round, Summary
from webapp.registry.models import ModelVersion
from webapp.registry.selectors import active_models


@dataclass(frozen=True)
class Chart:
    """How one kind stands at a site: the round in force, or how many cases the reference still lacks."""

    kind: Kind
    version: ModelVersion | None
    round: Round | None
    missing: int = 0
    alarm: Alarm | None = None


def open_alarms(site: Site | None = None) -> QuerySet[Alarm]:
    """The alarms that are not closed, acknowledged ones too, newest first; of every site for None."""
    alarms = Alarm.objects.exclude(status=AlarmStatus.CLOSED).select_related("site", "model_version")
    return alarms if site is None else alarms.filter(site=site)


def alarms_visible(user: User, permission: str = "model.view") -> QuerySet[Alarm]:
    """The alarms of the user's sites with their trails, newest first."""
    trail = Prefetch("trail", queryset=AlarmEvent.objects.select_related("by"))
    alarms = for_sites(Alarm.objects.all(), user, permission)
    return alarms.select_related("site", "model_version").prefetch_related(trail)


def alarm_or_404(user: User, alarm_id: uuid.UUID, permission: str = "model.view") -> Alarm:
    """Raises CodedError `not_found` (404), for strangers as for what does not exist."""
    alarm = alarms_visible(user, permission).filter(pk=alarm_id).first()
    if alarm is None:
        raise CodedError("not_found")
    return alarm


def watched_versions() -> list[ModelVersion]:
    """The versions that answer now: those that are watched."""
    return sorted(active_models().values(), key=lambda version: version.slot)


def charts(site: Site, version: ModelVersion) -> list[Chart]:
    """How every kind stands for the version at the site, and refusals; a bounded number of queries."""
    keys = [(kind, version if kind in OF_MODELS else None) for kind in Kind]
    alarms = {(alarm.kind, alarm.model_version_id): alarm for alarm in open_alarms(site)}
    rounds = {
        (r.baseline.kind, r.baseline.model_version_id): r
        for r in Round.objects.filter(ended_at=None, baseline__ended_at=None, baseline__site=site)
        .select_related("baseline", "alarm")
        .defer("baseline__data")
    }
    found = []
    for kind, of in keys:
        key = (kind, of.pk if of else None)
        round = rounds.get(key)
        missing = 0 if round else settings.HILUM_DRIFT_REFERENCE - waiting(site, of, kind)
        found.append(Chart(kind, of, round, max(missing, 0), alarms.get(key)))
    return found


def waiting(site: Site, version: ModelVersion | None, kind: Kind) -> int:
    """How many cases of the next reference there are, up to as many as it needs."""
    most = settings.HILUM_DRIFT_REFERENCE
    return streams.count(site, version, kind, behind=begin_of(site, version, kind), most=most)


def begin_of(site: Site, version: ModelVersion | None, kind: Kind) -> streams.Mark | None:
    """Where the next reference begins: at the stream's beginning, or where a change was accepted."""
    ended = Baseline.objects.filter(site=site, model_version=version, kind=kind, resumes__isnull=False)
    latest = ended.order_by("-ended_at").values_list("resumes", flat=True).first()
    return streams.Mark(latest) if latest else None


def round_in_force(site: Site, version: ModelVersion | None, kind: Kind) -> Round | None:
    of = {"baseline__site": site, "baseline__model_version": version, "baseline__kind": kind}
    rounds = Round.objects.filter(**of, baseline__ended_at=None, ended_at=None)
    return rounds.select_related("baseline__site", "baseline__model_version").first()


def earlier_rounds(rounds: Iterable[Round], most: int = 3) -> dict[uuid.UUID, list[Round]]:
    """The ended rounds before these ones, by baseline, oldest first."""
    by_baseline = {round.baseline_id: round.number for round in rounds}
    found: dict[uuid.UUID, list[Round]] = {key: [] for key in by_baseline}
    for round in Round.objects.filter(baseline__in=by_baseline, ended_at__isnull=False).order_by("number"):
        if round.number >= by_baseline[round.baseline_id] - most:
            found[round.baseline_id].append(round)
    return found


def summaries(sites: Iterable[Site] | QuerySet, version: ModelVersion) -> list[Summary]:
    found = Summary.objects.filter(site__in=sites, model_version=version)
    return list(found.select_related("site").order_by("site__name"))


def alarms_by_kind() -> dict[tuple[str, str], int]:
    """How many alarms are not closed, by site's slug and kind."""
    counted = open_alarms().order_by().values("site__slug", "kind").annotate(n=Count("pk"))
    return {(row["site__slug"], row["kind"]): row["n"] for row in counted}


def alarms_to_mail() -> list[Alarm]:
    """Open alarms that nobody was written about, oldest first."""
    return list(open_alarms().filter(status=AlarmStatus.OPEN, mailed_at=None).order_by("created_at"))


def recipients(site: Site) -> list[str]:
    """The addresses of those who answer for the site's alarms."""
    members = Membership.objects.filter(site=site, user__is_active=True).select_related("user", "role")
    granted = [m.user.email for m in members if Permission.ALARM_MANAGE in m.role.permissions]
    return sorted({address for address in granted if address})
