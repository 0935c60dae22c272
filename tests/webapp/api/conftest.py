"""API clients with tokens, and one of everything at the site."""

from __future__ import annotations

from datetime import time
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.db import transaction
from rest_framework.test import APIClient

from tests import factories
from tests.webapp.results.conftest import finish  # noqa: F401 - a fixture
from webapp.accounts.models import ApiToken
from webapp.accounts.permissions import Permission
from webapp.accounts.services import token_create
from webapp.analysis.models import AnalysisCam, Explanation
from webapp.analysis.worklist import summaries
from webapp.labels.marks.key_images import key_image_add
from webapp.labels.marks.services import mark_add
from webapp.labels.models import Manifest
from webapp.monitoring.models import Alarm
from webapp.registry.models import Comparison
from webapp.results.models import Destination, ResultDelivery, Rule
from webapp.scans.models import PatientMerge
from webapp.training.models import DataValidation, Snapshot, TrainingRun, TrainingSchedule
from webapp.webhooks.kinds import SUBSCRIBABLE
from webapp.webhooks.services import subscription_create, test_delivery_send

SCOPES = ("scan.upload", "scan.view")


@pytest.fixture
def client_of():
    """An API client with a fresh token of the user's: `client_of(user, site, scopes)`."""

    def make(user, site, scopes=SCOPES) -> APIClient:
        token, raw = token_create(user=user, site=site, name="test")
        # Scopes beyond the role are refused when a token is made; a role may lose permissions later.
        ApiToken.objects.filter(pk=token.pk).update(scopes=sorted(scopes))
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
        return client

    return make


@pytest.fixture
def client(client_of, owner, site) -> APIClient:
    return client_of(owner, site)


@pytest.fixture
def admin(person, client_of, site) -> APIClient:
    """A client that may do everything at the site."""
    return client_of(person("ada", role="admin", site=site), site, tuple(Permission))


@pytest.fixture
def case(site, owner) -> SimpleNamespace:
    return a_case(site, owner)


def a_case(site, owner) -> SimpleNamespace:
    """A patient of the site with one scan, read as pneumonia 0.82, and what else may lie around."""
    patient = factories.PatientFactory(site=site, name="DOE^Jane", patient_id="P-42")
    scan = factories.ScanFactory(site=site, patient=patient, upload__user=owner)
    analysis = an_result(scan, site)
    other = factories.PatientFactory(site=site)
    webhook = subscription_create(site=site, actor=owner, url="https://example.org/", kinds=SUBSCRIBABLE)
    return SimpleNamespace(
        **labelled(scan, site, owner),
        patient=patient,
        scan=scan,
        upload=scan.upload,
        study=scan.study,
        analysis=analysis,
        explanation=Explanation.objects.create(analysis=analysis, method="layercam"),
        model=analysis.model_version,
        merge=PatientMerge.objects.create(source=other, target=patient, actor=owner, reason="one person"),
        alarm=Alarm.objects.create(
            site=site, model_version=analysis.model_version, kind="pixels", since=scan.received_at
        ),
        **trained(analysis.model_version, site, owner),
        key_image=key_image_add(scan=scan, actor=owner, view=factories.KEY_IMAGE_VIEW),
        mark=mark_add(scan=scan, actor=owner, kind="length", points=[[10, 10], [20, 10]]),
        **sent(scan, site, owner),
        webhook=webhook,
        delivery=test_delivery_send(subscription=webhook),
    )


def sent(scan, site, owner) -> dict:
    destination = Destination.objects.create(
        site=site, created_by=owner, name="PACS", kind="dicom", host="pacs.example.org", port=104
    )
    rule = Rule.objects.create(destination=destination, created_by=owner, when="on_request", kinds=["result"])
    delivery = ResultDelivery.objects.create(
        destination=destination, cause="rule", key="1", study=scan.study, scan=scan, status="failed"
    )
    return {"destination": destination, "result_rule": rule, "result_delivery": delivery}


def an_result(scan, site):
    text = factories.prediction(pneumonia=0.82, normal=0.1)
    analysis = factories.AnalysisFactory(
        scan=scan,
        model_version__site=site,
        model_version__status="candidate",
        status="done",
        finding="pneumonia",
        probabilities=dict(text.probabilities),
        uncertainty=text.uncertainty,
    )
    AnalysisCam.objects.create(analysis=analysis, cam=factories.cam().as_dict())
    with transaction.atomic():
        summaries.refresh([scan.pk])
    return analysis


def labelled(scan, site, owner) -> dict:
    queue = factories.LabelQueueFactory(site=site, created_by=owner)
    facts = {"name": "m.csv", "sha256": "0" * 64, "findings": ["normal"]}
    return {
        "queue": queue,
        "item": factories.QueueItemFactory(queue=queue, scan=scan, status="agreed", done=2),
        "label": factories.LabelFactory(scan=scan, queue=queue),
        "manifest": Manifest.objects.create(site=site, by=owner, **facts),
    }


def trained(candidate, site, owner) -> dict:
    frozen = {"fingerprint": factories.digest("x"), "stored_name": f"snapshots/{uuid4()}.csv"}
    facts = {"slot": "cxr", "findings": ["normal"], "counts": {"images": 1}, **frozen}
    snapshot = Snapshot.objects.create(site=site, created_by=owner, **facts)
    DataValidation.objects.create(snapshot=snapshot)
    return {
        "run": TrainingRun.objects.create(
            site=site, started_by=owner, manifest="/d/m.csv", config={}, seed=0
        ),
        "snapshot": snapshot,
        "schedule": TrainingSchedule.objects.create(site=site, at=time(2, 0), created_by=owner),
        "comparison": Comparison.objects.create(
            candidate=candidate, site=site, manifest_name=snapshot.stored_name, fingerprint="x"
        ),
    }
