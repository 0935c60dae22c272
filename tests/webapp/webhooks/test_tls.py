"""A receiver whose certificate was issued by a private authority."""

from __future__ import annotations

import ssl
import subprocess

import pytest

from tests.webapp.webhooks.conftest import Receiver
from webapp.webhooks.models import Delivery
from webapp.webhooks.services import subscription_create

pytestmark = pytest.mark.django_db


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for localhost, with its key."""
    paths = {name: str(tmp_path / name) for name in ("cert.pem", "key.pem")}
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]
    command += ["/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*command, "-out", paths["cert.pem"], "-keyout", paths["key.pem"]], check=True, capture_output=True
    )
    return paths


@pytest.fixture
def secure(certificate):
    receiver = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate["cert.pem"], certificate["key.pem"])
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    yield receiver
    receiver.stop()


def test_an_unknown_authority_is_named_and_can_be_configured(
    secure, site, owner, certificate, settings, announce_event, send_all
):
    url = f"https://localhost:{secure.server.server_port}/events"
    subscription_create(site=site, actor=owner, url=url, kinds=["analysis.done"])
    announce_event(site.pk)
    send_all()
    assert Delivery.objects.get().error_code == "certificate_unknown_authority"
    settings.HILUM_WEBHOOK_CA_FILE = certificate["cert.pem"]
    subscription = Delivery.objects.get().subscription
    subscription.paused_until = None
    subscription.save()
    Delivery.objects.update(next_at="2026-01-01T00:00Z")
    send_all()
    assert Delivery.objects.get().status == "delivered"
    assert len(secure.got) == 1
