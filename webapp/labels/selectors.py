"""Reading what people said of studies."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet

from classifier.contract import NORMAL
from webapp.accounts.models import User
from webapp.analysis.models import Analysis
from webapp.labels.models import Reading
from webapp.registry.selectors import active_models
from webapp.scans.models import Study

OTHER, INCONCLUSIVE = "other", "inconclusive"
ALONE = (NORMAL, INCONCLUSIVE)


def readings_of(study: Study) -> QuerySet[Reading]:
    """The readings of the study's pictures, newest first, wherever those were filed when they were read."""
    read = Reading.objects.filter(scans__series__study=study).distinct()
    return read.select_related("reader", "superseded_by").order_by("-created_at")


def own_reading(study: Study, user: User) -> Reading | None:
    """The person's reading of the study that is in force."""
    return readings_of(study).filter(reader=user, superseded_by=None).first()


def offered(analyses: Iterable[Analysis]) -> list[str]:
    """What a reading of scans with these analyses may state: their models' findings, `normal` first."""
    specs = [analysis.model_version.model_spec for analysis in analyses]
    specs = specs or [version.model_spec for version in active_models().values()]
    findings = {finding for spec in specs for finding in spec.findings}
    return [NORMAL, *sorted(findings - {NORMAL}), OTHER, INCONCLUSIVE]


def analyses_of(study: Study) -> QuerySet[Analysis]:
    analyses = Analysis.objects.filter(scan__series__study=study)
    return analyses.select_related("model_version", "scan").order_by("scan__received_at", "scan")
