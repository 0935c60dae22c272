"""A listener in this process, and senders that pynetdicom makes."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)
from pynetdicom import AE

from webapp.dicom.listener.server import Listener, Options
from webapp.dicom.services import peer_set, sender_set


class Room:
    """A capacity that a test sets."""

    full = None

    def exceeded(self):
        return self.full


@pytest.fixture
def room():
    return Room()


@pytest.fixture
def listener(transactional_db, room):
    running = Listener(Options(host="127.0.0.1", port=0, ae_title="HILUM", associations=4), room)
    running.start()
    yield running
    running.stop(5)


@pytest.fixture
def sender(transactional_db, site):
    return sender_set(site=site, calling_title="MODALITY", networks=["127.0.0.0/8"])


@pytest.fixture
def peer_of(site):
    """Makes a peer of the site: `peer_of(port=…, retrieve="get")`."""

    def make(**values):
        known = {"title": "PACS", "host": "127.0.0.1", **values}
        return peer_set(site=site, name="pacs", values=known)

    return make


@pytest.fixture
def associated(listener):
    """`with associated() as association:` as MODALITY calls HILUM."""

    @contextmanager
    def open_(calling="MODALITY", called="HILUM", classes=(DigitalXRayImageStorageForPresentation,), **more):
        entity = AE(calling)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
        entity.add_requested_context("1.2.840.10008.1.1")
        for one in classes:
            entity.add_requested_context(one, more.get("syntaxes", [ExplicitVRLittleEndian]))
        association = entity.associate("127.0.0.1", listener.port, ae_title=called)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    return open_
