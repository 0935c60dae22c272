"""Counts of a site's results by week, group and reason."""

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
from webapp.monitoring.models import Observation, ReaderFeedback
from webapp.registry.models import ModelVersion
from webapp.scans.models import Upload

WEEKS = 26
GROUPS = ("manufacturer", "view", "sex", "age")
GROUPS_AT_MOST = 12
LABELLED_AT_MOST = 5000


@dataclass
class Tally:
    """Counts of one week or group. `reported`: finding to how many results reported it."""

    cases: int = 0
    abstained: int = 0
    judged: int = 0
    overrides: int = 0
    reported: dict[str, int] | None = None


@dataclass(frozen=True)
class LabelledResult:
    """A result with known ground truth, and the groups it belongs to; the model's own probabilities."""

    patient: UUID
    probabilities: Mapping[str, float]
    ground_truth: Mapping[str, bool]
    at: datetime
    groups: Mapping[str, str]


def begin() -> datetime:
    """Start of the reported period: a Monday, in UTC."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=today.weekday(), weeks=WEEKS - 1)


def tallies(site: Site, version: ModelVersion, by: str) -> dict[Any, Tally]:
    """Counts of the results since `begin`, by a group's name or by `week`; three queries."""
    rows = Observation.objects.filter(site=site, model_version=version, at__gte=begin())
    judged = ReaderFeedback.objects.filter(site=site, model_version=version, overrides__isnull=False)
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
    findings = rows.filter(withheld=False).exclude(finding="").order_by().values(column, "finding")
    for row in findings.annotate(n=Count("pk")):
        found[row[column]].reported[row["finding"]] = row["n"]
    against = judged.order_by().values(joined)
    for row in against.annotate(n=Count("pk"), k=Count("pk", filter=Q(overrides=True))):
        found[row[joined]].judged, found[row[joined]].overrides = row["n"], row["k"]
    return dict(found)


def reasons(site: Site, version: ModelVersion) -> dict[str, int]:
    """Number of withheld results since `begin`, by reason."""
    rows = Observation.objects.filter(site=site, model_version=version, at__gte=begin(), withheld=True)
    counted = rows.order_by().values("analysis__abstention").annotate(n=Count("pk"))
    return {row["analysis__abstention"]: row["n"] for row in counted}


def files(site: Site) -> tuple[dict[datetime, tuple[int, int]], dict[str, int]]:
    """Week to (files processed, files refused); and the number of refusals by reason."""
    read = Q(status=Upload.Status.REFUSED) | Q(status=Upload.Status.DONE, skipped__isnull=True)
    rows = Upload.objects.filter(read, site=site, created_at__gte=begin()).order_by()
    refused = Count("pk", filter=Q(status=Upload.Status.REFUSED))
    weeks = rows.annotate(key=TruncWeek("created_at")).values("key").annotate(n=Count("pk"), k=refused)
    reasons = rows.filter(status=Upload.Status.REFUSED).values("refusal").annotate(n=Count("pk"))
    return (
        {row["key"]: (row["n"], row["k"]) for row in weeks},
        {row["refusal"]: row["n"] for row in reasons},
    )


def labelled(site: Site, version: ModelVersion) -> list[LabelledResult]:
    """The latest results with known ground truth since `begin`; one query."""
    rows = ReaderFeedback.objects.filter(site=site, model_version=version, source=ReaderFeedback.Source.LABEL)
    rows = rows.filter(loss__isnull=False, analysis__observation__at__gte=begin())
    named = [f"analysis__observation__{group}" for group in GROUPS]
    columns = ("analysis__scan__series__study__patient", "analysis__probabilities", "analysis__model_output")
    found = rows.order_by("-at").values_list(*columns, "ground_truth", "analysis__observation__at", *named)
    return [
        LabelledResult(
            patient,
            own["probabilities"] if own else shown,
            ground_truth,
            at,
            dict(zip(GROUPS, groups, strict=True)),
        )
        for patient, shown, own, ground_truth, at, *groups in found[:LABELLED_AT_MOST]
    ]
