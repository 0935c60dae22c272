"""C-STORE and C-ECHO with pynetdicom as the sender: what is stored, and the status of the response."""

from __future__ import annotations

import errno
import hashlib

import pydicom
import pytest
from pydicom.uid import ComputedRadiographyImageStorage, JPEG2000Lossless
from pynetdicom.status import GENERAL_STATUS, STORAGE_SERVICE_CLASS_STATUS

from tests.classifier.images.samples import LOSSLESS, LOSSY, RAW
from tests.webapp.dicom.objects import DX, radiograph
from webapp.audit.models import AuditEvent
from webapp.core import storage
from webapp.dicom.contexts import storage_contexts
from webapp.dicom.listener import sockets
from webapp.dicom.listener.statuses import STATUSES
from webapp.scans.models import Upload
from webapp.scans.uploads.capacity import DISK_FULL, QUEUE_FULL
from webapp.scans.uploads.files import incoming_folder


def test_an_echo_gets_its_response(sender, associated):
    with associated() as association:
        assert association.send_c_echo().Status == 0x0000


def test_an_object_with_status_success_is_on_the_disk_and_in_the_table(sender, associated, site):
    image = radiograph()
    with associated() as association:
        assert association.send_c_store(image).Status == 0x0000
        upload = Upload.objects.get()
        data = storage.path_of(upload.stored_name).read_bytes()
    assert (upload.site, upload.user, upload.status) == (site, sender.user, "received")
    assert upload.sha256 == hashlib.sha256(data).hexdigest()
    stored = pydicom.dcmread(storage.path_of(upload.stored_name))
    assert dict(stored.items()).keys() == dict(image.items()).keys()
    assert all(stored[element.tag] == element for element in image)
    assert stored.file_meta.TransferSyntaxUID == image.file_meta.TransferSyntaxUID
    assert list(incoming_folder().iterdir()) == []


def test_compressed_pixel_data_are_stored_as_they_came(sender, associated):
    made = radiograph(JPEG2000Lossless)
    with associated(syntaxes=[JPEG2000Lossless]) as association:
        assert association.send_c_store(made).Status == 0x0000
    stored = pydicom.dcmread(storage.path_of(Upload.objects.get().stored_name))
    assert stored.PixelData == made.PixelData
    assert stored.file_meta.TransferSyntaxUID == JPEG2000Lossless


def test_the_same_object_sent_again_is_the_same_upload(sender, associated):
    image = radiograph()
    for _ in range(2):
        with associated() as association:
            assert association.send_c_store(image).Status == 0x0000
            assert association.send_c_store(image).Status == 0x0000
    assert Upload.objects.count() == 1


def test_many_objects_come_in_one_association(sender, associated):
    images = [radiograph() for _ in range(12)]
    with associated() as association:
        assert {association.send_c_store(image).Status for image in images} == {0x0000}
    assert Upload.objects.count() == 12


def test_while_there_is_no_room_the_sender_is_asked_to_come_again(sender, associated, room):
    image = radiograph()
    for room.full in (DISK_FULL, QUEUE_FULL):
        with associated() as association:
            response = association.send_c_store(image)
        assert (response.Status, "later" in response.ErrorComment) == (0xA700, True)
    assert not Upload.objects.exists()
    room.full = None
    with associated() as association:
        assert association.send_c_store(image).Status == 0x0000


def test_a_disk_that_fills_while_an_object_is_written_leaves_nothing(sender, associated, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("webapp.core.storage.put_file", full)
    with associated() as association:
        assert association.send_c_store(radiograph()).Status == 0xA700
    assert not Upload.objects.exists()
    assert list(incoming_folder().iterdir()) == []


def test_a_sender_whose_account_may_not_upload_is_not_authorized(sender, associated):
    sender.user.memberships.all().delete()
    with associated() as association:
        assert association.send_c_store(radiograph()).Status == 0x0124
    assert not Upload.objects.exists()


def test_an_object_of_another_class_than_its_context_does_not_match(sender, associated):
    image = radiograph()
    with associated() as association:
        context = association.accepted_contexts[1]
        context._abstract_syntax = pydicom.uid.UID(
            ComputedRadiographyImageStorage
        )  # what the sender believes
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
        assert association.send_c_store(image).Status == 0xA900
    assert not Upload.objects.exists()


def test_an_object_that_is_too_large_is_refused_and_the_next_one_stored(sender, associated, monkeypatch):
    monkeypatch.setattr(sockets, "MAX_FILE_BYTES", 200_000)
    large = radiograph()
    large.PixelData = bytes(1_000_000)
    with associated() as association:
        assert association.send_c_store(large).Status == 0xC001
        assert association.send_c_store(radiograph()).Status == 0x0000
    assert Upload.objects.count() == 1


def test_an_association_is_audited(sender, associated):
    with associated() as association:
        association.send_c_echo()
    event = AuditEvent.objects.get(action="dicom.association")
    assert (event.actor, event.site, event.subject) == (
        sender.user,
        sender.site,
        f"dicom.sender:{sender.pk}",
    )


def test_every_status_is_one_of_the_standard():
    known = STORAGE_SERVICE_CLASS_STATUS | GENERAL_STATUS
    assert [status.code for status in STATUSES if status.code not in known] == []
    assert all(len(status.meaning) <= 64 for status in STATUSES)


def test_every_storage_class_is_accepted_in_every_syntax_that_is_read():
    contexts = storage_contexts()
    syntaxes = {tuple(context.transfer_syntax) for context in contexts}
    assert len(syntaxes) == 1
    assert set(syntaxes.pop()) >= {*RAW, *LOSSLESS, *LOSSY}
    assert DX in {context.abstract_syntax for context in contexts}


@pytest.mark.parametrize("kind", ["1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.5.1.4.1.1.4"])
def test_what_ingest_does_not_read_is_not_accepted(sender, associated, kind):
    """An SR document and an MR image."""
    with associated(classes=[DX, kind]) as association:
        assert [context.abstract_syntax for context in association.rejected_contexts] == [kind]
