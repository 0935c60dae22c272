"""Associations that this server requests, with bounds on every wait."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from webapp.dicom.models import Peer
from webapp.dicom.values import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

CONNECT_SECONDS, RESPONSE_SECONDS = 10.0, 60.0


class PeerFailed(OSError):
    """The peer is not reachable, rejects the association, or responds with a failure; `code` names which."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@contextmanager
def associated(
    peer: Peer,
    contexts: Sequence[PresentationContext],
    *,
    roles: Sequence[Any] = (),
    handlers: Sequence[tuple[Any, Any]] = (),
) -> Iterator[Association]:
    """An association with the peer; raises PeerFailed."""
    for name in ("pynetdicom", "pydicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # their lines quote what peers send
    _config.LOG_HANDLER_LEVEL = "none"
    entity = AE(settings.DICOM_AE_TITLE)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.connection_timeout = CONNECT_SECONDS
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = RESPONSE_SECONDS
    association = entity.associate(
        peer.host,
        peer.port or 0,  # refused as unreachable
        contexts=list(contexts),
        ae_title=peer.title,
        ext_neg=list(roles),
        evt_handlers=list(handlers),
        tls_args=(tls_context(), peer.host) if peer.tls else None,
    )
    if not association.is_established:
        raise PeerFailed("rejected" if association.is_rejected else "unreachable")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def tls_context() -> ssl.SSLContext:
    """The system's authorities or DICOM_TLS_CA, and this server's own certificate."""
    context = ssl.create_default_context(cafile=settings.DICOM_TLS_CA or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.DICOM_TLS_CERTIFICATE:
        context.load_cert_chain(settings.DICOM_TLS_CERTIFICATE, settings.DICOM_TLS_KEY)
    return context
