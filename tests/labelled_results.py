"""Results of a model at a site, with labels: what a site calibration is fitted on."""

from __future__ import annotations

import copy
import json
import uuid
from datetime import timedelta

import numpy as np
from django.db.models.base import ModelState
from django.utils import timezone

from tests import factories
from webapp.accounts.models import Site
from webapp.analysis.models import Analysis
from webapp.labels.models import Label
from webapp.registry.models import ModelVersion
from webapp.scans.models import Scan, Upload

FINDINGS = ("normal", "pneumonia", "covid19")
SHARES = (0.6, 0.25, 0.15)
CARD = {
    "images": [
        {"source": "a", "finding": finding, "patients": 50, "train": 90, "val": 50, "test": 50}
        for finding in FINDINGS
    ]
}


def model(**fields) -> ModelVersion:
    """A version for three findings of equal shares in its validation data."""
    spec = factories.spec_of(findings=FINDINGS, temperature=1.0, thresholds=dict.fromkeys(FINDINGS, 0.3))
    return factories.ModelVersionFactory(spec=json.loads(spec.to_json()), card=CARD, **fields)


def results(
    site: Site, version: ModelVersion, count: int, *, labelled: int | None = None, seed: int = 0,
    shares=SHARES, patients: int | None = None, reader=None,
) -> list[Analysis]:  # fmt: skip
    """Finished results on scans of which the first `labelled` are labelled by one reader, blind.

    Each scan has one finding, drawn by `shares`. The probabilities separate the findings fairly, and are
    right where the findings are equally frequent.
    """
    rng = np.random.default_rng(seed)
    ground_truth = rng.choice(len(FINDINGS), p=shares, size=count)
    logits = 1.5 * (rng.normal(0, 1, (count, len(FINDINGS))) + 1.5 * np.eye(len(FINDINGS))[ground_truth])
    powers = np.exp(logits)
    probabilities = (powers / powers.sum(axis=1, keepdims=True)).round(6)
    people = patients or count
    series = [
        factories.SeriesFactory(study__patient=factories.PatientFactory(site=site)) for _ in range(people)
    ]
    upload = factories.UploadFactory(site=site, status=Upload.Status.DONE)
    bare = factories.ScanFactory.build(site=site, series=series[0], upload=upload, received_at=timezone.now())
    scans = []
    for index in range(count):
        scan = copy.copy(bare)
        scan.pk, scan._state, scan.series = uuid.uuid4(), ModelState(), series[index % people]
        scans.append(scan)
    Scan.objects.bulk_create(scans)
    done = timezone.now() - timedelta(minutes=5)
    made = [
        Analysis(
            scan=scan, model_version=version, status=Analysis.Status.DONE, finished_at=done, uncertainty=0.5,
            probabilities=dict(zip(FINDINGS, row, strict=True)), finding=FINDINGS[int(np.argmax(row))],
        )
        for scan, row in zip(scans, probabilities.tolist(), strict=True)
    ]  # fmt: skip
    Analysis.objects.bulk_create(made)
    reader = reader or factories.UserFactory()
    Label.objects.bulk_create(
        Label(
            site=site, scan=scan, reader=reader, signed_as="r",
            findings={f: "present" if k == t else "absent" for k, f in enumerate(FINDINGS)},
        )
        for scan, t in list(zip(scans, ground_truth, strict=True))[:labelled]
    )  # fmt: skip
    return made
