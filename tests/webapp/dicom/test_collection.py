"""Real files of many devices and encodings, sent at the same time."""

from __future__ import annotations

import pydicom
import pytest
from pynetdicom import AE

from classifier.images.dicom.routing import STORAGE_CLASSES
from tests.threads import in_threads
from webapp.core import storage
from webapp.scans.models import Upload

pytestmark = pytest.mark.shared_data


def send(port: int, paths) -> dict[str, int]:
    """The status of each file, sent as it is encoded."""
    statuses = {}
    for path in paths:
        image = pydicom.dcmread(path)
        entity = AE("MODALITY")
        entity.add_requested_context(image.SOPClassUID, image.file_meta.TransferSyntaxUID)
        association = entity.associate("127.0.0.1", port, ae_title="HILUM")
        if association.accepted_contexts:
            statuses[path.name] = association.send_c_store(image).Status
        association.release()
    return statuses


def test_four_associations_send_the_collection(shared_data, sender, listener):
    paths = sorted((shared_data / "dicom").glob("*.dcm"))
    halves = [paths[::2], paths[1::2]]
    results = in_threads(*(lambda part=part: send(listener.port, part) for part in (*halves, *halves)))
    accepted = {
        path.name
        for path in paths
        if pydicom.dcmread(path, stop_before_pixels=True).SOPClassUID in STORAGE_CLASSES
    }
    assert set(results[0]) | set(results[1]) == accepted
    assert {status for statuses in results for status in statuses.values()} == {0x0000}
    assert len(accepted) > 10
    assert 0 < Upload.objects.count() <= len(accepted)
    for upload in Upload.objects.all():
        stored = pydicom.dcmread(storage.path_of(upload.stored_name))
        assert f"{stored.file_meta.MediaStorageSOPInstanceUID}.dcm" == upload.filename
