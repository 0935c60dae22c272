"""What an operator asks of a running system: is it ready, and how are its parts?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.db import OperationalError, connection

from tests.factories import UploadFactory
from webapp.core.jobs.presence import report_presence
from webapp.core.jobs.queues import Queue
from webapp.monitoring.metrics import exposition
from webapp.monitoring.operations import parts
from webapp.scans.models import Upload

pytestmark = pytest.mark.django_db


def reported() -> dict[str, float]:
    lines = [line for line in exposition().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


@pytest.fixture
def data(settings, tmp_path):
    settings.HILUM_DATA = tmp_path
    return tmp_path


def test_it_is_ready_with_database_and_store(client, data, django_assert_num_queries):
    with django_assert_num_queries(1):
        response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "ok", "store": "ok", "broker": "ok"}


def test_it_is_not_ready_without_its_database_or_store(client, data, monkeypatch, settings):
    def lost(*args, **kwargs):
        raise OperationalError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(connection, "cursor", lost)
        response = client.get("/readyz")
    assert (response.status_code, response.json()["database"]) == (503, "unavailable")
    settings.HILUM_DATA = data / "unmounted"
    response = client.get("/readyz")
    assert (response.status_code, response.json()["store"]) == (503, "unavailable")


def test_a_broker_that_is_away_is_named_and_does_not_stop_requests(client, data, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    response = client.get("/readyz")
    assert (response.status_code, response.json()["broker"]) == (200, "unavailable")
    assert reported()["hilum_broker_up"] == 0


def test_workers_failures_and_disk_are_reported(data):
    report_presence([Queue.INFER], "infer@gpu1")
    UploadFactory()
    Upload.objects.claim()[0].fail("internal")
    found = reported()
    assert found['hilum_worker_seen_timestamp_seconds{node="infer@gpu1",queue="infer"}'] > 1_700_000_000
    assert found['hilum_jobs_failed{queue="ingest"}'] == 1
    assert found['hilum_jobs_failed{queue="infer"}'] == 0
    assert found["hilum_disk_free_bytes"] > 0


def test_the_end_of_the_certificate_is_reported(data, settings):
    assert parts.certificate_expiry() is None
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "h")]),
    )
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(end - timedelta(days=10)).not_valid_after(end)
    (data / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    settings.DICOM_TLS_CERTIFICATE = str(data / "cert.pem")
    assert reported()["hilum_certificate_expiry_timestamp_seconds"] == end.timestamp()
    (data / "cert.pem").write_text("no certificate")
    assert parts.certificate_expiry() is None
