"""Finds a patient's earlier studies at a peer, and retrieves them: C-FIND with C-MOVE or C-GET, DICOMweb."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone
from pydicom.dataset import Dataset
from pynetdicom import build_role, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when the module loads
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from webapp.dicom.contexts import storage_contexts
from webapp.dicom.listener.store import Tally, received_object, store
from webapp.dicom.models import Peer, PriorFetch, Retrieve
from webapp.dicom.network import web
from webapp.dicom.network.association import PeerFailed, associated
from webapp.dicom.part10 import is_uid
from webapp.scans.dicom_values import parse_date
from webapp.scans.models import Patient, Study
from webapp.scans.uploads.capacity import Capacity

PENDING = (0xFF00, 0xFF01)
MOST_FOUND = 1000


@dataclass(frozen=True)
class Found:
    """A study at the peer."""

    uid: str
    day: date | None
    modalities: frozenset[str]
    patient_id: str


@dataclass
class Counts:
    studies: int = 0
    retrieved: int = 0
    refused: int = 0


def fetch_priors(fetch: PriorFetch) -> Counts:
    """Find and retrieve; raises PeerFailed, or OSError of a connection."""
    peer = fetch.peer
    chosen = choose(peer, fetch.patient, find(peer, fetch.patient.patient_id))
    counts = Counts(studies=len(chosen))
    for study in chosen:
        tally = _RETRIEVE[Retrieve(peer.retrieve)](peer, study.uid)
        counts.retrieved += tally.stored
        counts.refused += tally.refused
    return counts


def find(peer: Peer, patient_id: str) -> list[Found]:
    if peer.retrieve == Retrieve.WEB:
        rows = web.studies(peer, patient_id, earliest(peer))
        return [
            Found(row["uid"], parse_date(row["date"]), frozenset(row["modalities"]), row["patient_id"])
            for row in rows
        ]
    with associated(peer, [build_context(StudyRootQueryRetrieveInformationModelFind)]) as association:
        model = StudyRootQueryRetrieveInformationModelFind
        return [_found(row) for row in _rows(association.send_c_find(identifier(peer, patient_id), model))]


def identifier(peer: Peer, patient_id: str) -> Dataset:
    """A study-level query for one patient (PS3.4 section C.6.2.1)."""
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.PatientID = patient_id
    wanted.StudyDate = f"{earliest(peer):%Y%m%d}-"
    wanted.StudyInstanceUID = ""
    wanted.ModalitiesInStudy = ""
    return wanted


def earliest(peer: Peer) -> date:
    today = timezone.now().date()
    return today.replace(year=today.year - peer.years, day=min(today.day, 28))


def choose(peer: Peer, patient: Patient, found: Iterable[Found]) -> list[Found]:
    """The newest studies of the peer's modalities that are not here; other patients' are never taken.

    A study whose modalities the peer does not state is taken.
    """
    here = set(Study.objects.filter(patient=patient).values_list("study_instance_uid", flat=True))
    wanted = frozenset(peer.modalities)
    fitting = {
        one.uid: one
        for one in found
        if is_uid(one.uid)
        and one.uid not in here
        and one.patient_id == patient.patient_id
        and (not one.modalities or not wanted or one.modalities & wanted)
    }
    newest = sorted(fitting.values(), key=lambda one: (one.day or date.min, one.uid), reverse=True)
    return newest[: peer.most_studies]


def _found(row: Dataset) -> Found:
    modalities = row.get("ModalitiesInStudy") or []
    several = [modalities] if isinstance(modalities, str) else list(modalities)
    return Found(
        uid=str(row.get("StudyInstanceUID") or ""),
        day=parse_date(str(row.get("StudyDate") or "")),
        modalities=frozenset(map(str, several)),
        patient_id=str(row.get("PatientID") or "").strip(),
    )


def _rows(responses: Iterable[tuple[Dataset, Dataset | None]]) -> list[Dataset]:
    """The identifiers of a C-FIND; raises PeerFailed for a failure."""
    rows: list[Dataset] = []
    for status, row in responses:
        code = status.get("Status")
        if code in PENDING and row is not None and len(rows) < MOST_FOUND:
            rows.append(row)
        elif code is None:
            raise PeerFailed("unreachable")
        elif code not in (0x0000, *PENDING):
            raise PeerFailed("query_refused")
    return rows


def _of_study(uid: str) -> Dataset:
    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", uid
    return wanted


def _get(peer: Peer, uid: str) -> Tally:
    """C-GET: the objects come on the same association."""
    tally, capacity = Tally(), Capacity()

    def stored(event):
        close_old_connections()
        status = store(received_object(event), peer, capacity)
        tally.add(status)
        return status.as_dataset()

    kept = storage_contexts()
    roles = [build_role(context.abstract_syntax or "", scp_role=True) for context in kept]
    model = StudyRootQueryRetrieveInformationModelGet
    handlers = [(evt.EVT_C_STORE, stored)]
    with associated(peer, [build_context(model), *kept], roles=roles, handlers=handlers) as association:
        _last(association.send_c_get(_of_study(uid), model))
    return tally


def _move(peer: Peer, uid: str) -> Tally:
    """C-MOVE: the objects come to the listener, where the peer is a sender like others."""
    model = StudyRootQueryRetrieveInformationModelMove
    with associated(peer, [build_context(model)]) as association:
        last = _last(association.send_c_move(_of_study(uid), settings.DICOM_AE_TITLE, model))
    stored, failed = (int(last.get(f"NumberOf{name}Suboperations") or 0) for name in ("Completed", "Failed"))
    return Tally({0x0000: stored, 0xA702: failed})


def _web(peer: Peer, uid: str) -> Tally:
    return web.retrieve(peer, uid, Capacity())


_RETRIEVE = {Retrieve.GET: _get, Retrieve.MOVE: _move, Retrieve.WEB: _web}


def _last(responses: Iterable[tuple[Dataset, Dataset | None]]) -> Dataset:
    """The final status of a retrieval; raises PeerFailed where the peer retrieved nothing of it."""
    last = Dataset()
    for status, _ in responses:
        last = status
    code = last.get("Status")
    if code is None:
        raise PeerFailed("unreachable")
    if code not in (0x0000, 0xB000, 0xA702):
        raise PeerFailed("retrieve_refused")
    return last
