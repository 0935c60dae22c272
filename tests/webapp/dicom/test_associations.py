"""Who may open an association, and peers that misbehave."""

from __future__ import annotations

import logging
import socket
import threading
import time

import pytest
from pynetdicom.pdu_primitives import P_DATA

from tests.webapp.dicom.objects import radiograph
from webapp.dicom.listener import sockets
from webapp.dicom.services import sender_set
from webapp.scans.models import Upload
from webapp.scans.uploads.files import incoming_folder


def rejection(association) -> tuple[int, int, int]:
    response = association.acceptor.primitive
    return response.result, response.result_source, response.diagnostic


def test_an_unknown_title_is_rejected_with_a_line_that_says_what_to_do(sender, associated, caplog):
    with caplog.at_level(logging.WARNING), associated(calling="OTHER") as association:
        assert association.is_rejected
        assert rejection(association) == (1, 1, 3)
    assert "OTHER" in caplog.text
    assert "create_dicom_sender" in caplog.text


def test_a_known_title_from_another_address_is_rejected(sender, associated):
    sender.networks = ["192.0.2.7/32"]
    sender.save()
    with associated() as association:
        assert rejection(association) == (1, 1, 3)


def test_a_sender_that_was_disabled_is_rejected(sender, associated):
    sender.active = False
    sender.save()
    with associated() as association:
        assert rejection(association) == (1, 1, 3)


def test_another_called_title_is_rejected_as_such(sender, associated):
    with associated(called="ARCHIVE") as association:
        assert rejection(association) == (1, 1, 7)


def test_a_site_may_have_a_called_title_of_its_own(sender, associated, other_site):
    sender_set(site=other_site, calling_title="MODALITY", called_title="HARBOUR", networks=["127.0.0.1/32"])
    for called in ("HILUM", "HARBOUR"):
        with associated(called=called) as association:
            assert association.send_c_store(radiograph()).Status == 0x0000
    assert [upload.site.slug for upload in Upload.objects.order_by("created_at")] == ["st-anna", "harbour"]


def test_a_title_that_two_sites_list_alike_goes_to_neither(sender, associated, other_site):
    sender_set(site=other_site, calling_title="MODALITY", networks=["127.0.0.1/32"])
    with associated() as association:
        assert rejection(association) == (1, 1, 3)


def test_any_title_is_accepted_where_a_site_says_so(site, associated):
    sender_set(site=site, calling_title="*", networks=["127.0.0.0/8"])
    with associated(calling="WHOEVER") as association:
        assert association.is_established


def test_associations_beyond_the_limit_are_asked_to_come_again(sender, associated, listener):
    listener._ae.maximum_associations = 1
    with associated() as first, associated() as second:
        assert first.is_established
        assert rejection(second) == (2, 3, 2)


def test_an_abort_in_the_middle_of_an_object_leaves_nothing(sender, associated):
    image = radiograph()
    image.PixelData = bytes(2_000_000)
    with associated() as association:
        send, sent = association.dul.send_pdu, []

        def part(primitive):
            if not isinstance(primitive, P_DATA):
                send(primitive)
                return
            sent.append(primitive)
            if len(sent) < 5:
                send(primitive)
            elif len(sent) == 5:
                association.abort(block=False)

        association.dul.send_pdu = part
        association.dimse_timeout = 1
        assert "Status" not in association.send_c_store(image)
    with associated() as association:
        assert association.send_c_echo().Status == 0x0000
    assert not Upload.objects.exists()
    assert list(incoming_folder().iterdir()) == []


@pytest.fixture
def wire(listener):
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as connection:
        yield connection


def test_a_pdu_of_gigabytes_is_not_received(sender, wire):
    wire.sendall(b"\x01\x00\xff\xff\xff\xff" + bytes(1000))
    assert is_closed(wire)


def test_a_peer_that_stops_in_the_middle_of_a_pdu_is_dropped(sender, monkeypatch, wire):
    monkeypatch.setattr(sockets, "GRACE_SECONDS", 0.2)
    began = time.monotonic()
    wire.sendall(b"\x01\x00\x00\x00\x01\x00" + bytes(10))
    assert is_closed(wire)
    assert time.monotonic() - began < 5


def test_what_is_not_dicom_is_dropped_and_the_listener_goes_on(sender, wire, associated, monkeypatch):
    monkeypatch.setattr(sockets, "GRACE_SECONDS", 0.2)
    wire.sendall(b"GET / HTTP/1.1\r\nHost: hilum\r\n\r\n")
    assert is_closed(wire)
    with associated() as association:
        assert association.send_c_echo().Status == 0x0000


def test_stopping_lets_an_open_association_finish(sender, associated, listener):
    with associated() as association:
        stopping = threading.Thread(target=listener.stop, args=[20])
        stopping.start()
        time.sleep(0.3)
        assert association.send_c_store(radiograph()).Status == 0x0000
        assert stopping.is_alive()
    stopping.join(10)
    assert not stopping.is_alive()
    listener.stop = lambda seconds: 0


def is_closed(connection: socket.socket) -> bool:
    """Whether the peer closes, perhaps after an A-ABORT."""
    try:
        while connection.recv(1000):
            pass
    except ConnectionResetError:
        return True
    return True
