"""C-STORE and C-ECHO to a PACS, with TLS where the destination asks for it (PS3.7, PS3.15 B)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Timer

import pydicom
from django.conf import settings
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from webapp.core import storage
from webapp.results.models import Destination, ResultObject
from webapp.webhooks.addresses import host_target, resolve, resolve_private
from worker.sending.outcome import SendError
from worker.support.http_client import tls_context

CONNECT_SECONDS, RESPONSE_SECONDS, IN_ALL = 10.0, 30.0, 240.0
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
DUPLICATE = 0x0111
# PS3.4 Table B.2-1: the object itself is refused, hence would be again.
REFUSED_OBJECT = (0xA900, 0xC000)


def echo(destination: Destination) -> str:
    """C-ECHO; raises SendError, AddressRefused and OSError."""
    with _association(destination, [Verification]) as association:
        response = association.send_c_echo()
        if response.get("Status") != 0:
            raise SendError("dicom_no_response", "The PACS did not respond to C-ECHO.")
    return "The PACS responded to C-ECHO."


def store(
    destination: Destination, objects: Sequence[ResultObject], accepted: Callable[[ResultObject], None]
) -> None:
    """Send the objects, and call `accepted` for each as soon as the PACS has confirmed it.

    Raises SendError, AddressRefused and OSError, after all that the PACS would take was sent.
    """
    classes = sorted({one.sop_class_uid for one in objects})
    refused: list[str] = []
    with _association(destination, classes) as association:
        for one in objects:
            if problem := _store(association, one):
                refused.append(problem)
            else:
                accepted(one)
    if refused:
        raise SendError("dicom_refused", "; ".join(sorted(set(refused))), final=True, down=False)


def _store(association: Association, one: ResultObject) -> str:
    """Why the PACS refuses this object for good, empty if it took it; raises SendError for what passes."""
    with storage.open_file(one.stored_name) as file:
        dataset = pydicom.dcmread(file)
    try:
        status = association.send_c_store(dataset).get("Status")
    except ValueError:
        return f"{one.kind}: the PACS does not take this class of objects"
    except RuntimeError as error:
        raise SendError("dicom_aborted", "The association ended before all was sent.") from error
    if status is None:
        raise SendError("dicom_no_response", "The PACS ended the association or did not respond in time.")
    # Warnings (0xBxxx): it is stored.
    if status in (0, DUPLICATE) or status & 0xF000 == 0xB000:
        return ""
    if status & 0xFF00 == REFUSED_OBJECT[0] or status & 0xF000 == REFUSED_OBJECT[1]:
        return f"{one.kind}: status 0x{status:04X}"
    raise SendError("dicom_status", f"The PACS responded with status 0x{status:04X}.")


@contextmanager
def _association(destination: Destination, classes: Sequence[str]) -> Iterator[Association]:
    port = destination.port or 0
    target = host_target(destination.host, port)
    address = resolve(target) if destination.tls else resolve_private(target)
    entity = AE(ae_title=destination.calling_ae)
    entity.connection_timeout = entity.acse_timeout = CONNECT_SECONDS
    entity.dimse_timeout = entity.network_timeout = RESPONSE_SECONDS
    for uid in classes:
        entity.add_requested_context(uid, SYNTAXES)
    tls = (client_context(), destination.host) if destination.tls else None
    association = entity.associate(address, port, ae_title=destination.called_ae, tls_args=tls)
    if not association.is_established:
        _reach(address, port)
        raise SendError(*_why(association))
    cut_off = Timer(IN_ALL, association.abort)
    cut_off.daemon = True
    cut_off.start()
    try:
        yield association
    finally:
        cut_off.cancel()
        if association.is_established:
            association.release()


def _reach(address: str, port: int) -> None:
    """Raise OSError where nobody listens: pynetdicom only states that there is no association."""
    socket.create_connection((address, port), CONNECT_SECONDS).close()


def _why(association: Association) -> tuple[str, str]:
    if association.is_rejected:
        return "dicom_rejected", "The PACS rejected the association: check both AE titles in the PACS."
    if association.is_aborted:
        return "dicom_aborted", "The PACS aborted the association: check TLS, and its list of known systems."
    return "dicom_no_response", "The PACS accepted none of the object classes, or did not respond."


def client_context() -> ssl.SSLContext:
    """As for webhooks, with our own certificate where the PACS asks for one."""
    context = tls_context()
    if settings.HILUM_RESULT_TLS_CERTIFICATE:
        context.load_cert_chain(settings.HILUM_RESULT_TLS_CERTIFICATE, settings.HILUM_RESULT_TLS_KEY or None)
    return context
