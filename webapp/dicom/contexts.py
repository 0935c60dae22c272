"""What the listener accepts: the storage classes and transfer syntaxes that ingest reads."""

from __future__ import annotations

from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when the module loads
    StorageCommitmentPushModel,
    Verification,
)

from classifier.images.dicom.routing import STORAGE_CLASSES
from classifier.images.dicom.transfer_syntaxes import readable_transfer_syntaxes


def storage_contexts() -> list[PresentationContext]:
    """One presentation context for each storage class of ingest, with every transfer syntax it decodes."""
    syntaxes: list[str | UID] = list(readable_transfer_syntaxes())
    return [build_context(sop_class, syntaxes) for sop_class in sorted(STORAGE_CLASSES)]


def accepted_contexts() -> list[PresentationContext]:
    return [*map(build_context, (Verification, StorageCommitmentPushModel)), *storage_contexts()]
