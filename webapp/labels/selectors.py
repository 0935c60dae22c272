"""Reading labels and signed readings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet

from classifier.contract import NORMAL
from webapp.accounts.models import Site, User
from webapp.analysis.models import Analysis
from webapp.labels.ground_truth import ground_truth_of
from webapp.labels.models import Label, LabelQueue, LabelSource, Reading
from webapp.registry.selectors import active_models
from webapp.scans.models import Patient, Study

OTHER, INCONCLUSIVE = "other", "inconclusive"
ALONE = (NORMAL, INCONCLUSIVE)


def readings_of(study: Study) -> QuerySet[Reading]:
    """The readings of the study's images, newest first, wherever those were filed when they were read."""
    read = Reading.objects.filter(scans__series__study=study).distinct()
    return read.select_related("reader", "superseded_by").order_by("-created_at")


def readings_of_patient(patient: Patient) -> dict[UUID, list[Reading]]:
    """The patient's readings that none supersedes, newest first, by the study of their images."""
    read = Reading.objects.filter(scans__series__study__patient=patient, superseded_by=None)
    found: dict[UUID, list[Reading]] = {}
    for reading in read.annotate(now_in=F("scans__series__study")).distinct().order_by("-created_at"):
        found.setdefault(reading.now_in, []).append(reading)
    return found


def own_reading(study: Study, user: User) -> Reading | None:
    """The user's latest reading of the study."""
    return readings_of(study).filter(reader=user, superseded_by=None).first()


def offered(analyses: Iterable[Analysis]) -> list[str]:
    """What a reading of scans with these analyses may state: their models' findings, `normal` first."""
    specs = [analysis.model_version.model_spec for analysis in analyses]
    specs = specs or [version.model_spec for version in active_models().values()]
    findings = {finding for spec in specs for finding in spec.findings}
    return [NORMAL, *sorted(findings - {NORMAL}), OTHER, INCONCLUSIVE]


def analyses_of(study: Study) -> QuerySet[Analysis]:
    analyses = Analysis.objects.filter(scan__series__study=study)
    return analyses.select_related("model_version", "calibration", "scan").order_by(
        "scan__received_at", "scan"
    )


def current_labels(*, site: Site, blind_only: bool = False) -> QuerySet[Label]:
    """The labels that no later one supersedes; `blind_only`: the latest given before the result was shown.

    Imported labels and decisions count as blind.
    """
    labels = Label.objects.filter(site=site)
    if not blind_only:
        return labels.filter(superseded_by=None)
    shown_since = Q(superseded_by=None) | Q(superseded_by__blind=False)
    return labels.filter(shown_since, blind=True)


def ground_truth(
    *, site: Site, scans: Iterable[UUID] | QuerySet | None = None, blind_only: bool = False
) -> dict[UUID, dict[str, str | None]]:
    """Ground truth of each labelled scan of the site: scan id to {finding: "present", "absent" or None}.

    An adjudication wins; otherwise the readers must agree, once a queue has all its readers. None is unknown,
    not negative; findings that nobody was asked for are missing. `blind_only` ignores labels given after the
    result was shown, as performance estimates require.
    """
    labels = current_labels(site=site, blind_only=blind_only)
    if scans is not None:
        labels = labels.filter(scan__in=scans)
    by_scan: dict[UUID, list[Label]] = defaultdict(list)
    for label in labels.defer("comment", "regions", "attributes").order_by().iterator():
        by_scan[label.scan_id].append(label)
    queues = LabelQueue.objects.filter(site=site).values_list("pk", "readers", "closed_at")
    wanted = {key: (readers, closed is not None) for key, readers, closed in queues}
    return {scan: ground_truth_of(some, wanted) for scan, some in by_scan.items()}


def imported_attributes(*, site: Site) -> dict[UUID, dict[str, Any]]:
    """Attributes from manifests (`source`, `split`, `age`, `sex`, `view`, ...) by scan."""
    imported = current_labels(site=site).filter(source=LabelSource.IMPORT).order_by("created_at")
    return {
        scan: attributes for scan, attributes in imported.values_list("scan_id", "attributes") if attributes
    }
