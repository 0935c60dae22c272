"""What a site calibration is fitted on: the site's labelled results of one model version, and its stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models import Exists, OuterRef, QuerySet

from classifier.contract import NORMAL
from webapp.accounts.models import Site
from webapp.analysis.models import Analysis
from webapp.core.jobs.table import JobStatus
from webapp.labels.models import Label, QueueItem, QueueOrder
from webapp.labels.selectors import ground_truth
from webapp.registry.models import ModelVersion

MOST_LABELLED, MOST_STREAM = 5000, 2000
COLUMNS = ("pk", "scan", "scan__series__study__patient", "probabilities", "model_output")


@dataclass(frozen=True)
class LabelledCases:
    """The model's own probabilities on labelled scans that have a result, newest first.

    Arrays as in `classifier.evaluation.site`; `patients` (N,) are ids. `withheld`: labelled scans left out
    because the result is withheld. `selected`: scans of queues that put some kinds of scan first.
    """

    probabilities: np.ndarray
    targets: np.ndarray
    known: np.ndarray
    patients: np.ndarray
    withheld: int
    selected: int
    fingerprint: str

    def __len__(self) -> int:
        return len(self.patients)


@dataclass(frozen=True)
class Stream:
    """The model's own probabilities (N, findings) on the newest results, labelled or not, and patients."""

    probabilities: np.ndarray
    patients: np.ndarray


def labelled_cases(site: Site, version: ModelVersion) -> LabelledCases:
    """The labelled results of the version at the site, without labels given after the result was shown."""
    findings = version.model_spec.findings
    labelled = _results(site, version).filter(Exists(Label.objects.filter(scan=OuterRef("scan"), site=site)))
    truths = ground_truth(site=site, scans=labelled.values("scan"), blind_only=True)
    withheld = labelled.filter(withheld=True).values_list("scan", flat=True)
    rows = []
    for row in labelled.filter(withheld=False).values_list(*COLUMNS)[:MOST_LABELLED]:
        known = known_findings(truths.get(row[1], {}), findings)
        if known:
            rows.append((row, known))
    scans = [row[1] for row, _ in rows]
    return LabelledCases(
        probabilities=_own((row for row, _ in rows), findings),
        targets=np.array([[known.get(f) is True for f in findings] for _, known in rows]).reshape(
            -1, len(findings)
        ),
        known=np.array([[f in known for f in findings] for _, known in rows]).reshape(-1, len(findings)),
        patients=np.array([str(row[2]) for row, _ in rows]),
        withheld=sum(bool(known_findings(truths.get(scan, {}), findings)) for scan in withheld),
        selected=_selected(site, scans),
        fingerprint=_fingerprint((row[0], known) for row, known in rows),
    )


def known_findings(settled: Mapping[str, str | None], findings: Iterable[str]) -> dict[str, bool]:
    """Finding to whether it is present, where that is known; `normal` and the others exclude each other."""
    known = {f: settled[f] == "present" for f in findings if settled.get(f) in ("present", "absent")}
    if known.get(NORMAL):
        return dict.fromkeys(findings, False) | known
    if NORMAL in findings and any(known.values()):
        known.setdefault(NORMAL, False)
    return known


def stream(site: Site, version: ModelVersion, *, until: datetime) -> Stream:
    """The newest results of the version at the site that were finished by then."""
    rows = _results(site, version).filter(withheld=False, finished_at__lte=until)
    found = list(rows.values_list(*COLUMNS)[:MOST_STREAM])
    findings = version.model_spec.findings
    return Stream(_own(found, findings), np.array([str(row[2]) for row in found]))


def _results(site: Site, version: ModelVersion) -> QuerySet[Analysis]:
    """The finished results, newest first; of the same pixels only the first."""
    rows = Analysis.objects.filter(model_version=version, scan__site=site, status=JobStatus.DONE)
    return rows.filter(scan__duplicate_of=None).order_by("-created_at", "-pk")


def _own(rows: Iterable[Any], findings: tuple[str, ...]) -> np.ndarray:
    own = [(output["probabilities"] if output else shown) for *_, shown, output in rows]
    return np.array([[p[f] for f in findings] for p in own], dtype=float).reshape(-1, len(findings))


def _selected(site: Site, scans: list[UUID]) -> int:
    """How many of these scans are in a queue that was ordered by anything but chance."""
    items = QueueItem.objects.filter(queue__site=site, scan__in=scans).exclude(queue__order=QueueOrder.RANDOM)
    return items.values("scan").distinct().count()


def _fingerprint(rows: Iterable[tuple[UUID, Mapping[str, bool]]]) -> str:
    """SHA-256 of the results and their labels."""
    content = sorted((str(key), sorted(known.items())) for key, known in rows)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
