"""The commands, and the listener as a process of its own."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from webapp.accounts.services import can
from webapp.dicom.listener.server import Listener, Options
from webapp.dicom.models import Sender
from webapp.dicom.selectors import Caller, sender_of


def create(*arguments: str) -> str:
    out = StringIO()
    call_command("create_dicom_sender", *arguments, stdout=out)
    return out.getvalue()


def test_a_sender_is_created_with_an_account_that_may_upload_only(site):
    assert "CR_ROOM_2 may send to St Anna" in create("st-anna", "CR_ROOM_2", "--network", "10.20.0.0/16")
    sender = sender_of(Caller("CR_ROOM_2", "HILUM", "10.20.3.4"))
    assert isinstance(sender, Sender)
    assert can(sender.user, "scan.upload", site)
    assert not can(sender.user, "scan.view", site)
    assert not sender.user.has_usable_password()


def test_repeating_it_replaces_the_addresses(site):
    for network in ("10.20.0.0/16", "10.30.0.0/16"):
        create("st-anna", "CR_ROOM_2", "--network", network)
    assert Sender.objects.get().networks == ["10.30.0.0/16"]


@pytest.mark.parametrize(
    ("calling", "network", "problem"),
    [
        ("SEVENTEEN_LETTERS", "10.20.0.0/16", "at most 16"),
        ("BACK\\SLASH", "10.20.0.0/16", "no backslash"),
        ("CR", "10.20.0.7/16", "is not a network"),
    ],
)
def test_what_cannot_be_a_sender_is_refused_in_words(site, calling, network, problem):
    with pytest.raises(CommandError, match=problem):
        create("st-anna", calling, "--network", network)


def test_an_ipv4_address_may_arrive_as_ipv6(site):
    create("st-anna", "CR", "--network", "10.20.0.0/16")
    assert isinstance(sender_of(Caller("CR", "HILUM", "::ffff:10.20.0.9")), Sender)


def test_production_does_not_receive_in_clear_text(settings):
    settings.PRODUCTION, settings.DICOM_BIND = True, "0.0.0.0"
    with pytest.raises(CommandError, match="DICOM_TLS_CERTIFICATE"):
        call_command("dicom_listener")


def test_half_a_tls_configuration_is_an_error(settings):
    settings.DICOM_TLS_CERTIFICATE = "cert.pem"
    with pytest.raises(CommandError, match=r"hilum\.E021"):
        call_command("check")


@pytest.fixture
def certificate(tmp_path):
    paths = [str(tmp_path / name) for name in ("cert.pem", "key.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


def echo(port: int, context: ssl.SSLContext | None) -> int | None:
    entity = AE("MODALITY")
    entity.add_requested_context(Verification)
    entity.acse_timeout = entity.connection_timeout = 5
    arguments = {"tls_args": (context, "localhost")} if context else {}
    association = entity.associate("127.0.0.1", port, ae_title="HILUM", **arguments)
    if not association.is_established:
        return None
    response = association.send_c_echo().Status
    association.release()
    return response


def test_over_tls_only_who_shows_a_certificate_of_the_authority_gets_in(sender, room, certificate):
    cert, key = certificate
    listener = Listener(Options("127.0.0.1", 0, "HILUM", 4, cert, key, authority=cert), room)
    listener.start()
    try:
        known, unknown = (ssl.create_default_context(cafile=cert) for _ in range(2))
        known.load_cert_chain(cert, key)
        assert echo(listener.port, known) == 0x0000
        assert echo(listener.port, unknown) is None
        assert echo(listener.port, None) is None
        assert echo(listener.port, known) == 0x0000
    finally:
        listener.stop(1)


@pytest.mark.skipif(not shutil.which("storescu"), reason="dcmtk is not installed")
def test_dcmtk_sends_and_gets_the_reason_of_a_refusal(sender, listener, room, tmp_path):
    from tests.webapp.dicom.objects import radiograph
    from webapp.scans.models import Upload
    from webapp.scans.uploads.capacity import DISK_FULL

    radiograph().save_as(tmp_path / "image.dcm")

    def scu(*command: str) -> subprocess.CompletedProcess[str]:
        head = [command[0], "-aet", "MODALITY", "-aec", "HILUM", "127.0.0.1", str(listener.port)]
        return subprocess.run([*head, *command[1:]], capture_output=True, text=True, timeout=30)

    assert scu("echoscu").returncode == 0
    assert scu("storescu", str(tmp_path / "image.dcm")).returncode == 0
    assert Upload.objects.count() == 1
    room.full = DISK_FULL
    refused = scu("storescu", "-v", str(tmp_path / "image.dcm"))
    assert "OutOfResources" in refused.stdout + refused.stderr
