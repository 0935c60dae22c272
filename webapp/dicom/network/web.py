"""A peer's DICOMweb service: search by QIDO-RS, retrieval by WADO-RS."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from datetime import date
from typing import Any

from django.conf import settings

from webapp.dicom.listener import statuses
from webapp.dicom.listener.store import Tally
from webapp.dicom.models import Peer
from webapp.dicom.multipart import Reader, boundary_of
from webapp.dicom.network.association import PeerFailed, tls_context
from webapp.dicom.storing import part_store
from webapp.scans.uploads.capacity import Capacity

SECONDS = 60.0
SEARCH_BYTES = 16 << 20
DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'


class Unredirected(urllib.request.HTTPRedirectHandler):
    """A peer is what was configured, and nothing that it points to."""

    def redirect_request(self, *args: Any) -> None:
        return None


def studies(peer: Peer, patient_id: str, earliest: date) -> list[dict[str, Any]]:
    """The patient's studies: UID, date, modalities and identifier of each; raises PeerFailed."""
    asked = {"PatientID": patient_id, "StudyDate": f"{earliest:%Y%m%d}-", "includefield": "00080061"}
    query = urllib.parse.urlencode(asked)
    with _opened(peer, f"/studies?{query}", "application/dicom+json") as response:
        body = response.read(SEARCH_BYTES) or b"[]"
    try:
        rows = json.loads(body)
    except ValueError as error:
        raise PeerFailed("query_refused") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise PeerFailed("query_refused")
    return [
        {
            "uid": _first(row, "0020000D"),
            "date": _first(row, "00080020"),
            "modalities": [str(one) for one in _values(row, "00080061")],
            "patient_id": _first(row, "00100020").strip(),
        }
        for row in rows
    ]


def retrieve(peer: Peer, uid: str, capacity: Capacity) -> Tally:
    """Store the instances of a study as uploads; raises PeerFailed."""
    tally = Tally()
    if capacity.exceeded():
        raise PeerFailed("no_space")
    with _opened(peer, f"/studies/{uid}", DICOM) as response:
        reader = Reader(response.read, boundary_of(response.headers.get("Content-Type", "")))
        for part in reader.parts():
            outcome = part_store(user=peer.user, site=peer.site, part=part, study=uid)
            tally.add(statuses.FAILED if outcome.failure else statuses.SUCCESS)
    return tally


@contextmanager
def _opened(peer: Peer, path: str, accept: str):
    context = tls_context() if peer.url.startswith("https:") else None
    handlers: list[urllib.request.BaseHandler] = [Unredirected()]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(peer.url.rstrip("/") + path, headers={"Accept": accept})  # noqa: S310
    if peer.credential:
        request.add_header("Authorization", settings.DICOM_CREDENTIALS.get(peer.credential, ""))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=SECONDS) as response:
            yield response
    except urllib.error.HTTPError as error:
        raise PeerFailed("unauthorized" if error.code in (401, 403) else "query_refused") from error
    except (urllib.error.URLError, ssl.SSLError, http.client.HTTPException) as error:
        raise PeerFailed("unreachable") from error


def _values(row: dict[str, Any], tag: str) -> list[Any]:
    element = row.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _first(row: dict[str, Any], tag: str) -> str:
    return str(next(iter(_values(row, tag)), "") or "")
