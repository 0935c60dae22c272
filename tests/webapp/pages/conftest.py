"""A site with two scans, one with a result, and browsers signed in as owner, teammate and outsider."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.db import transaction
from django.test import Client
from PIL import Image

from tests import factories
from webapp.analysis.models import Analysis, AnalysisCam
from webapp.analysis.worklist import summaries
from webapp.core import storage
from webapp.labels.models import Manifest
from webapp.registry.models import ModelVersion
from webapp.scans.models import Scan


@pytest.fixture
def browser() -> Callable[[object], Client]:
    """A browser in which the user is signed in."""

    def sign_in(user) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def model(db) -> ModelVersion:
    spec = factories.spec_of(thresholds={"pneumonia": 0.55}, temperature=1.5)
    return factories.ModelVersionFactory(spec=factories._as_json(spec), card={"data": "eight X-rays"})


@pytest.fixture
def finished_analysis(model) -> Callable[..., Analysis]:
    """Makes a finished analysis: `finished_analysis(scan, pneumonia=0.82)`, with map and summary."""

    def make(scan: Scan, *, version: ModelVersion | None = None, abstention: str = "", **probabilities):
        text = factories.prediction(**probabilities)
        analysis = factories.AnalysisFactory(
            scan=scan,
            model_version=version or model,
            status=Analysis.Status.DONE,
            finding=text.finding or "",
            uncertainty=text.uncertainty,
            probabilities=dict(text.probabilities),
            abstention=abstention,
            withheld=bool(abstention),
        )
        AnalysisCam.objects.create(analysis=analysis, cam=factories.cam().as_dict())
        renew(scan)
        return analysis

    return make


@pytest.fixture
def case(site, owner, finished_analysis) -> SimpleNamespace:
    """A patient of the site with one scan, read as pneumonia 0.82."""
    patient = factories.PatientFactory(site=site, name="DOE^Jane", patient_id="P-42")
    scan = factories.ScanFactory(site=site, patient=patient, upload__user=owner)
    analysis = finished_analysis(scan, pneumonia=0.82, normal=0.1)
    item = factories.QueueItemFactory(queue__site=site, queue__created_by=owner, scan=scan)
    manifest = Manifest.objects.create(site=site, by=owner, name="m.csv", sha256="0" * 64, findings=[])
    return SimpleNamespace(
        patient=patient,
        scan=scan,
        analysis=analysis,
        upload=scan.upload,
        item=item,
        queue=item.queue,
        manifest=manifest,
    )


def renew(*scans: Scan) -> None:
    with transaction.atomic():
        summaries.refresh([scan.pk for scan in scans])


def store_preview(scan: Scan, settings) -> bytes:
    """Store an image as the scan's preview; returns its bytes."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 90).save(buffer, "PNG")
    draft = settings.HILUM_DATA / "incoming" / f"{scan.pk}.png"
    draft.parent.mkdir(exist_ok=True, parents=True)
    draft.write_bytes(buffer.getvalue())
    storage.put_file(draft, scan.preview_name)
    return buffer.getvalue()
