"""What there is to count of a site's answers, in the database: by week, by group, by reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q
from django.db.models.functions import TruncWeek
from django.utils import timezone

from webapp.accounts.models import Site
from webapp.monitoring.models import Observation, Verdict
from webapp.registry.models import ModelVersion
from webapp.scans.models import Upload

WEEKS = 26
GROUPS = ("manufacturer", "view", "sex", "age")
GROUPS_AT_MOST = 12
LABELLED_AT_MOST = 5000


@dataclass
class Tally:
    """Counts of one week or group. `reported`: finding to how many answers reported it."""

    cases: int = 0
    abstained: int = 0
    judged: int = 0
    overrides: int = 0
    reported: dict[str, int] | None = None


@dataclass(frozen=True)
class Labelled:
    """An answer whose truth is known: a verdict with what it is grouped by."""

    patient: UUID
    probabilities: Mapping[str, float]
    truth: Mapping[str, bool]
    at: datetime
    groups: Mapping[str, str]


def begin() -> datetime:
    """The first moment that is told of: the Monday, in UTC, some weeks ago."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=today.weekday(), weeks=WEEKS - 1)


def tallies(site: Site, version: ModelVersion, by: str) -> dict[Any, Tally]:
    """Counts of the answers since `begin`, by a group's name or by `week`; three queries."""
    rows = Observation.objects.filter(site=site, model_version=version, at__gte=begin())
    judged = Verdict.objects.filter(site=site, model_version=version, overrides__isnull=False)
    judged = judged.filter(analysis__observation__at__gte=begin())
    if by == "week":
        rows = rows.annotate(key=TruncWeek("at"))
        judged = judged.annotate(key=TruncWeek("analysis__observation__at"))
        column = joined = "key"
    else:
        column, joined = by, f"analysis__observation__{by}"
    found: dict[Any, Tally] = defaultdict(Tally)
    counted = rows.order_by().values(column)
    for row in counted.annotate(n=Count("pk"), k=Count("pk", filter=Q(withheld=True))):
        found[row[column]] = Tally(row["n"], row["k"], reported={})
    said = rows.filter(withheld=False).exclude(finding="").order_by().values(column, "finding")
    for row in said.annotate(n=Count("pk")):
        found[row[column]].reported[row["finding"]] = row["n"]
    against = judged.order_by().values(joined)
    for row in against.annotate(n=Count("pk"), k=Count("pk", filter=Q(overrides=True))):
        found[row[joined]].judged, found[row[joined]].overrides = row["n"], row["k"]
    return dict(found)


def reasons(site: Site, version: ModelVersion) -> dict[str, int]:
    """Abstention's reasons to how many answers had them since `begin`."""
    rows = Observation.objects.filter(site=site, model_version=version, at__gte=begin(), withheld=True)
    counted = rows.order_by().values("analysis__abstention").annotate(n=Count("pk"))
    return {row["analysis__abstention"]: row["n"] for row in counted}


def files(site: Site) -> tuple[dict[datetime, tuple[int, int]], dict[str, int]]:
    """Week to (files that were read, those of them that were refused); and the refusals' reasons."""
    read = Q(status=Upload.Status.REFUSED) | Q(status=Upload.Status.DONE, skipped__isnull=True)
    rows = Upload.objects.filter(read, site=site, created_at__gte=begin()).order_by()
    refused = Count("pk", filter=Q(status=Upload.Status.REFUSED))
    weeks = rows.annotate(key=TruncWeek("created_at")).values("key").annotate(n=Count("pk"), k=refused)
    reasons = rows.filter(status=Upload.Status.REFUSED).values("refusal").annotate(n=Count("pk"))
    return (
        {row["key"]: (row["n"], row["k"]) for row in weeks},
        {row["refusal"]: row["n"] for row in reasons},
    )


def labelled(site: Site, version: ModelVersion) -> list[Labelled]:
    """The latest answers whose truth is known, since `begin`; one query."""
    rows = Verdict.objects.filter(site=site, model_version=version, source=Verdict.Source.LABEL)
    rows = rows.filter(loss__isnull=False, analysis__observation__at__gte=begin())
    named = [f"analysis__observation__{group}" for group in GROUPS]
    columns = ("analysis__scan__series__study__patient", "analysis__probabilities", "truth")
    told = rows.order_by("-at").values_list(*columns, "analysis__observation__at", *named)
    return [
        Labelled(patient, probabilities, truth, at, dict(zip(GROUPS, groups, strict=True)))
        for patient, probabilities, truth, at, *groups in told[:LABELLED_AT_MOST]
    ]
