"""Taking bytes in: what is kept, what is refused on arrival, and what the same bytes mean a second time."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from datetime import date
from types import SimpleNamespace

import pytest
from django.db import DataError, OperationalError, transaction

from tests.factories import PatientFactory, ScanFactory
from webapp.audit.models import AuditEvent
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans import services
from webapp.scans.models import Upload
from webapp.scans.patients.corrections import scan_move
from webapp.scans.services import upload_store
from webapp.scans.uploads.files import incoming_folder
from webapp.scans.uploads.stated_metadata import StatedMetadata

pytestmark = pytest.mark.django_db
BYTES = b"image " * 100


@pytest.fixture(autouse=True)
def woken(monkeypatch):
    names = []
    monkeypatch.setattr(services, "notify_workers", names.append)
    return names


@pytest.fixture
def hand_in(owner, site):
    def hand_in(content: bytes = BYTES, **details):
        chunks = (content[i : i + 64] for i in range(0, len(content), 64))
        return upload_store(user=owner, site=site, chunks=chunks, **details)

    return hand_in


def code_of(call, *args, **kwargs) -> tuple[str, int]:
    with pytest.raises(CodedError) as caught:
        call(*args, **kwargs)
    return caught.value.code, caught.value.status


def kept_files() -> list:
    return [path for path in storage.root().rglob("*") if path.is_file()] + list(incoming_folder().iterdir())


def set_status(upload: Upload, status: str, **values) -> Upload:
    Upload.objects.filter(pk=upload.pk).update(status=status, **values)
    upload.refresh_from_db()
    return upload


def test_an_upload_is_kept_hashed_recorded_and_woken(hand_in, owner, site, woken):
    stated = StatedMetadata.parse(patient_id=" P1 ", study="A-7", date="2026-11-20", modality="DX")
    upload, created = hand_in(filename="  ../../etc/passwd\0.png ", stated=stated)
    upload.refresh_from_db()
    assert created
    assert (upload.status, upload.size, upload.sha256) == (
        "received",
        len(BYTES),
        hashlib.sha256(BYTES).hexdigest(),
    )
    assert (upload.stated_patient_id, upload.stated_study) == ("P1", "A-7")
    assert (upload.stated_date, upload.stated_modality) == (date(2026, 11, 20), "cxr")
    assert upload.filename == "../../etc/passwd.png"
    assert "passwd" not in upload.stored_name
    assert storage.open_file(upload.stored_name).read() == BYTES
    assert list(incoming_folder().iterdir()) == []
    assert woken == ["ingest"]
    event = AuditEvent.objects.get(action="upload.received")
    assert (event.actor, event.site, str(upload.pk) in event.subject) == (owner, site, True)


def test_a_file_that_is_too_large_is_not_kept_nor_read_to_its_end(hand_in, owner, site):
    before, read = kept_files(), []

    def endless():
        while True:
            read.append(1)
            yield b"x" * 1000

    assert code_of(upload_store, user=owner, site=site, chunks=endless(), max_bytes=2500) == (
        "too_large",
        413,
    )
    assert len(read) == 3
    assert kept_files() == before
    assert not Upload.objects.exists()


def test_an_empty_file_is_refused_at_the_endpoint(hand_in):
    before = kept_files()
    assert code_of(hand_in, b"") == ("empty_file", 400)
    assert kept_files() == before


def test_an_upload_that_breaks_off_leaves_nothing(owner, site):
    def broken():
        yield BYTES
        raise ConnectionResetError

    before = kept_files()
    with pytest.raises(ConnectionResetError):
        upload_store(user=owner, site=site, chunks=broken())
    assert kept_files() == before


def test_a_row_that_cannot_be_written_leaves_no_file(hand_in, monkeypatch):
    def fail(**_):
        raise DataError

    monkeypatch.setattr(services, "record", fail)
    before = kept_files()
    with pytest.raises(DataError):
        hand_in()
    assert kept_files() == before
    assert not Upload.objects.exists()


def test_a_connection_lost_at_the_commit_leaves_the_bytes_for_the_row_that_may_be_there(hand_in, monkeypatch):
    @contextmanager
    def atomic():
        with transaction.atomic():
            yield
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(services, "transaction", SimpleNamespace(atomic=atomic))
    with pytest.raises(OperationalError):
        hand_in()
    assert storage.open_file(Upload.objects.get().stored_name).read() == BYTES


def test_the_same_bytes_are_the_earlier_upload(hand_in, woken):
    first, _ = hand_in(stated=StatedMetadata(patient_id="P1"))
    files = kept_files()
    again, created = hand_in(stated=StatedMetadata(patient_id="P1"))
    unclaimed, _ = hand_in()
    assert (again.pk, unclaimed.pk, created) == (first.pk, first.pk, False)
    assert kept_files() == files
    assert len(woken) == 1


def test_two_who_upload_the_same_bytes_at_once_share_one_upload(hand_in, monkeypatch, owner, site):
    real, rivals = services._register, []

    def rival_first(*args):
        if not rivals:
            rivals.append(None)
            rivals[0], _ = upload_store(user=owner, site=site, chunks=[BYTES])
        return real(*args)

    monkeypatch.setattr(services, "_register", rival_first)
    before = len(kept_files())
    upload, created = hand_in()
    assert (upload.pk, created) == (rivals[0].pk, False)
    assert len(kept_files()) == before + 1


def test_the_same_bytes_at_another_site_are_another_upload(hand_in, outsider, other_site):
    ours, _ = hand_in()
    theirs, created = upload_store(user=outsider, site=other_site, chunks=[BYTES])
    assert created
    assert theirs.pk != ours.pk


def test_the_same_bytes_for_another_patient_are_a_conflict(hand_in):
    hand_in(stated=StatedMetadata(patient_id="P1"))
    assert code_of(hand_in, stated=StatedMetadata(patient_id="P2")) == ("patient_conflict", 409)


def test_a_claim_that_comes_before_the_reading_begins_completes_the_upload(hand_in):
    first, _ = hand_in()
    again, created = hand_in(stated=StatedMetadata(patient_id="P1", date=date(2026, 1, 2)))
    assert (again.pk, created) == (first.pk, False)
    assert (again.stated_patient_id, again.stated_date) == ("P1", date(2026, 1, 2))


@pytest.fixture
def filed(hand_in, site):
    """An upload that was claimed for one patient and filed to another by its header."""
    upload, _ = hand_in(stated=StatedMetadata(patient_id="claimed"))
    set_status(upload, "done")
    return ScanFactory(site=site, upload=upload, id=upload.id, patient__patient_id="filed")


def test_the_same_request_once_more_is_no_conflict_though_the_header_named_another(hand_in, filed):
    for patient_id in ("claimed", "filed", ""):
        assert hand_in(stated=StatedMetadata(patient_id=patient_id)) == (filed.upload, False)
    assert code_of(hand_in, stated=StatedMetadata(patient_id="third")) == ("patient_conflict", 409)


def test_once_a_person_has_moved_the_scan_the_claim_counts_no_more(hand_in, filed, site, owner):
    right = PatientFactory(site=site, patient_id="right")
    scan_move(scan=filed, patient=right, actor=owner, reason="wrong wristband")
    for patient_id in ("claimed", "filed"):
        assert code_of(hand_in, stated=StatedMetadata(patient_id=patient_id)) == ("patient_conflict", 409)
    assert hand_in(stated=StatedMetadata(patient_id="right")) == (filed.upload, False)


def test_a_failed_upload_is_tried_again_by_the_same_bytes(hand_in, woken):
    upload, _ = hand_in(stated=StatedMetadata(patient_id="P1"))
    set_status(upload, "failed", error_code="gave_up", attempts=3)
    again, created = hand_in(stated=StatedMetadata(patient_id="P2"))
    assert (again.pk, created) == (upload.pk, False)
    assert (again.status, again.attempts, again.stated_patient_id) == ("received", 0, "P2")
    assert len(woken) == 2


def test_bytes_that_the_store_has_lost_are_put_back_by_the_same_bytes(hand_in):
    upload, _ = hand_in()
    storage.delete_file(upload.stored_name)
    set_status(upload, "failed", error_code="file_missing")
    assert hand_in()[0].status == "received"
    assert storage.open_file(upload.stored_name).read() == BYTES


def test_a_refused_file_is_parsed_once_more_when_it_is_uploaded_again(hand_in, woken):
    upload, _ = hand_in(stated=StatedMetadata(patient_id="P1"))
    storage.delete_file(upload.stored_name)
    set_status(upload, "refused", refusal="undecodable", refusal_detail="no decoder", attempts=1)
    again, created = hand_in(stated=StatedMetadata(patient_id="P2"))
    assert (again.pk, created, again.status, again.attempts) == (upload.pk, False, "received", 0)
    assert (again.refusal, again.refusal_detail, again.stated_patient_id) == ("", "", "P2")
    assert storage.open_file(again.stored_name).read() == BYTES
    assert len(woken) == 2


@pytest.mark.parametrize(
    "text",
    [
        {"patient_id": "x" * 65},
        {"patient_id": "a\nb"},
        {"study": "\x1b[2J"},
        {"study": "A-1\u200b"},
        {"patient_id": "\u202e24-P"},
        {"patient_id": "P-\U000e0041"},
        {"date": "yesterday"},
        {"date": "2026-02-30"},
        {"modality": "MR"},
    ],
)
def test_a_claim_that_makes_no_sense_is_reported(text):
    assert code_of(StatedMetadata.parse, **text) == ("metadata_invalid", 400)
