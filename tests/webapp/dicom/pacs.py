"""A PACS that pynetdicom makes: C-FIND, C-GET, C-MOVE, and a sender's side of storage commitment."""

from __future__ import annotations

from contextlib import contextmanager

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.webapp.dicom.objects import DX
from webapp.dicom.contexts import storage_contexts

MODELS = (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)


class Pacs:
    """`images` are its archive; `destination` is where a C-MOVE to HILUM goes; `reports` came to it."""

    def __init__(self, images=()) -> None:
        self.images, self.destination = list(images), None
        self.asked, self.reports = [], []
        self.find_status = 0x0000

    @contextmanager
    def running(self):
        entity = AE("PACS")
        for model in MODELS:
            entity.add_supported_context(model)
        for context in storage_contexts():
            entity.add_supported_context(
                context.abstract_syntax, context.transfer_syntax, scu_role=True, scp_role=True
            )
            entity.add_requested_context(context.abstract_syntax, context.transfer_syntax)
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        handlers = [
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_GET, self._get),
            (evt.EVT_C_MOVE, self._move),
            (evt.EVT_N_EVENT_REPORT, self._report),
        ]
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()

    def _find(self, event):
        self.asked.append(event.identifier)
        if self.find_status:
            yield self.find_status, None
            return
        for uid in {image.StudyInstanceUID for image in self.images}:
            one = next(image for image in self.images if image.StudyInstanceUID == uid)
            row = Dataset()
            for keyword in ("PatientID", "StudyInstanceUID", "StudyDate"):
                setattr(row, keyword, one.get(keyword, ""))
            row.QueryRetrieveLevel, row.ModalitiesInStudy = "STUDY", one.Modality
            yield 0xFF00, row

    def _chosen(self, event):
        return [one for one in self.images if one.StudyInstanceUID == event.identifier.StudyInstanceUID]

    def _get(self, event):
        chosen = self._chosen(event)
        yield len(chosen)
        for image in chosen:
            yield 0xFF00, image

    def _move(self, event):
        assert event.move_destination == "HILUM"
        yield self.destination
        yield from self._get(event)

    def _report(self, event):
        self.reports.append((event.event_type, event.event_information))
        return 0x0000, None


def request(transaction_uid: str, *images) -> Dataset:
    """The information of an N-ACTION that asks for commitment of these images."""
    action = Dataset()
    action.TransactionUID = transaction_uid
    action.ReferencedSOPSequence = []
    for uid in images:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = DX, uid
        action.ReferencedSOPSequence.append(item)
    return action
