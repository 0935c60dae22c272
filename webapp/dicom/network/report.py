"""N-EVENT-REPORT of storage commitment, on an association of its own (PS3.4 section J.3.3)."""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.dataset import Dataset
from pynetdicom import build_role
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when the module loads
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from webapp.dicom.commitment import Kept, Reference
from webapp.dicom.models import Commitment
from webapp.dicom.network.association import PeerFailed, associated

COMPLETE, FAILURES_EXIST = 1, 2


def report_send(commitment: Commitment, found: Kept) -> None:
    """Report what is committed and what is not; raises PeerFailed."""
    peer = commitment.sender.report_to
    if peer is None:  # changed since the commitment was asked for
        raise PeerFailed("no_address")
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    contexts = [build_context(StorageCommitmentPushModel)]
    with associated(peer, contexts, roles=[role]) as association:
        status, _ = association.send_n_event_report(
            event_information(commitment.transaction_uid, found),
            FAILURES_EXIST if found.failed else COMPLETE,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
    if status.get("Status") != 0x0000:
        raise PeerFailed("report_refused")


def event_information(transaction_uid: str, found: Kept) -> Dataset:
    """Table J.3-4 of PS3.4."""
    report = Dataset()
    report.TransactionUID = transaction_uid
    report.ReferencedSOPSequence = [_item(reference) for reference in found.committed]
    if found.failed:
        report.FailedSOPSequence = _failed(found.failed)
    return report


def _failed(failed: Mapping[Reference, int]) -> list[Dataset]:
    items = []
    for reference, reason in failed.items():
        item = _item(reference)
        item.FailureReason = reason
        items.append(item)
    return items


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference
    return item
