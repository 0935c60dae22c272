"""Runs the listener until it is asked to stop."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from pynetdicom import AE, _config
from pynetdicom.association import Association

from webapp.dicom.contexts import accepted_contexts
from webapp.dicom.listener.associations import Associations
from webapp.dicom.listener.sockets import Server, is_loopback, tls_context
from webapp.dicom.values import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from webapp.scans.uploads.capacity import Capacity

logger = logging.getLogger(__name__)

PDU_BYTES = 128 << 10
REQUEST_SECONDS, IDLE_SECONDS = 15.0, 60.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Options:
    """Address, AE title and limits of the listener. Without a certificate it speaks plain TCP."""

    host: str
    port: int
    ae_title: str
    associations: int
    certificate: str = ""
    key: str = ""
    authority: str = ""


class Listener:
    """A server of C-ECHO and C-STORE; `port` is the one it got where 0 was asked for."""

    def __init__(self, options: Options, capacity: Capacity | None = None) -> None:
        # The library's own lines quote what peers send; ours state what to do.
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
        logging.getLogger("pydicom").setLevel(logging.CRITICAL)
        _config.LOG_HANDLER_LEVEL = "none"
        self._ae = application_entity(options)
        tls = None
        if options.certificate:
            tls = tls_context(options.certificate, options.key, options.authority)
        self._server = self._ae.make_server(
            (options.host, options.port),
            contexts=accepted_contexts(),
            evt_handlers=[*Associations(capacity or Capacity()).handlers()],
            server_class=Server,
            tls=tls,
        )
        self._ae._servers.append(self._server)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=[POLL_SECONDS], name="listener", daemon=True
        )

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> int:
        """Accept nothing more, let open associations finish, then abort them; returns how many."""
        self._server.shutdown()
        end = time.monotonic() + seconds
        while (left := self._established()) and time.monotonic() < end:
            time.sleep(POLL_SECONDS / 4)
        for association in left:
            association.abort(block=False)
        return len(left)

    def _established(self) -> list[Association]:
        return [one for one in self._server.active_associations if one.is_established]


def application_entity(options: Options) -> AE:
    entity = AE(options.ae_title)
    entity.maximum_associations = options.associations
    entity.maximum_pdu_size = PDU_BYTES
    entity.acse_timeout, entity.network_timeout = REQUEST_SECONDS, IDLE_SECONDS
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return entity


def is_unprotected(options: Options) -> bool:
    """Whether images would cross a network in clear text."""
    return not options.certificate and not is_loopback(options.host)
