"""An archive becomes the uploads of its images, once, and each goes its own way."""

from __future__ import annotations

import io
from datetime import date

import numpy as np
import pytest
from PIL import Image

from tests.classifier.images.archives import encrypted, zipped
from tests.classifier.images.samples import chest, dataset, write
from tests.factories import SiteFactory, UserFactory
from webapp.audit.models import AuditEvent
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.models import ArchiveMember, Scan, Upload
from webapp.scans.services import upload_store
from webapp.scans.uploads import archives
from webapp.scans.uploads.archives import archive_finish
from webapp.scans.uploads.files import incoming_folder
from webapp.scans.uploads.stated_metadata import StatedMetadata
from worker.jobs import ingest
from worker.jobs.ingest import IngestJob
from worker.runner import LEASE
from worker.support.scratch import scratch_folder

pytestmark = pytest.mark.django_db(transaction=True)


def png(shade: int = 0) -> bytes:
    made = io.BytesIO()
    Image.fromarray(((chest() >> 4) // (1 + shade)).astype(np.uint8)).save(made, "PNG")
    return made.getvalue()


@pytest.fixture(scope="module")
def worker():
    job = IngestJob()
    yield job
    job.close()


@pytest.fixture
def owner(db):
    return UserFactory()


@pytest.fixture
def hand_in(owner):
    site = SiteFactory()

    def hand_in(data: bytes, **stated):
        claimed = StatedMetadata(**stated)
        return upload_store(user=owner, site=site, chunks=[data], filename="x.zip", stated=claimed)[0]

    return hand_in


@pytest.fixture
def ingested(hand_in, worker):
    """Hands an archive in and works the queue off."""

    def ingested(data: bytes, **stated) -> Upload:
        upload = hand_in(data, **stated)
        runner(worker)
        upload.refresh_from_db()
        return upload

    return ingested


def runner(worker: IngestJob) -> None:
    while worker.step():
        pass


def text(upload: Upload) -> dict[str, list[str]]:
    return {one["reason"]: one["names"] for one in upload.skipped}


def files_kept() -> int:
    folders = (storage.root(), incoming_folder(), scratch_folder())
    return sum(path.is_file() for folder in folders for path in folder.rglob("*"))


def test_the_images_of_an_archive_become_scans(ingested, owner, tmp_path):
    film = write(tmp_path / "film", dataset(chest(), PatientID="4711", StudyDate="20260301")).read_bytes()
    members = {"a/1.png": png(), "a/IM1": film, "README.txt": b"read me", "b/broken.png": b"none"}
    archive = ingested(zipped(members), patient_id="P-1", date=date(2026, 11, 2))
    assert archive.status == "done"
    assert text(archive) == {"not_an_image": ["README.txt"]}
    assert [m.name for m in archive.members.all()] == ["a/1.png", "a/IM1", "b/broken.png"]
    plain, dicom, broken = archive.children.order_by("created_at")
    assert [plain.filename, dicom.filename, broken.filename] == ["a/1.png", "a/IM1", "b/broken.png"]
    assert {upload.user for upload in (plain, dicom, broken)} == {owner}
    assert plain.scans.get().patient.patient_id == "P-1"
    assert str(plain.scans.get().study.study_date) == "2026-11-02"
    assert dicom.scans.get().patient.patient_id == "4711"
    assert (broken.status, broken.refusal) == ("refused", "not_an_image")
    assert AuditEvent.objects.filter(action="upload.received").count() == 4


def test_the_archives_own_bytes_are_not_kept(ingested):
    before = files_kept()
    data = zipped({"1.png": png()})
    archive = ingested(data)
    assert not storage.path_of(archive.stored_name).exists()
    assert files_kept() == before + 4  # the image's original, display, working image and preview
    assert ingested(data) == archive
    assert files_kept() == before + 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (zipped({"1.png": png()})[:-9], "undecodable"),
        (encrypted(zipped({"1.png": png()})), "undecodable"),
        (zipped({"notes.txt": b"text"}), "not_an_image"),
    ],
)
def test_an_archive_that_is_refused_leaves_nothing(ingested, data, reason):
    before = files_kept()
    archive = ingested(data)
    assert (archive.status, archive.refusal) == ("refused", reason)
    assert archive.refusal_detail
    assert files_kept() == before
    assert not ArchiveMember.objects.exists()


def test_the_same_bytes_are_one_upload_in_an_archive_and_out_of_it(ingested):
    single = ingested(png(1))
    archive = ingested(zipped({"1.png": png(1), "2.png": png(2), "copy of 2.png": png(2)}))
    new = archive.children.get()
    assert [m.upload for m in archive.members.all()] == [single, new, new]
    assert Scan.objects.count() == 2
    assert single.parent is None


def test_what_is_here_for_another_patient_is_left_to_that_one(ingested):
    theirs = ingested(png(1), patient_id="P-1")
    archive = ingested(zipped({"1.png": png(1), "2.png": png(2)}), patient_id="P-2")
    assert [member.upload for member in archive.members.all()] == [None, archive.children.get()]
    assert theirs.scans.get().patient.patient_id == "P-1"


def test_a_worker_that_is_killed_while_unpacking_doubles_nothing(hand_in, worker, monkeypatch):
    archive = hand_in(zipped({f"{n}.png": png(n) for n in range(4)}))
    real, stored = ingest.member_store, []

    def die(**member):
        if len(stored) == 2:
            raise SystemExit
        stored.append(real(**member))
        return stored[-1]

    monkeypatch.setattr(ingest, "member_store", die)
    with pytest.raises(SystemExit):
        worker.step()
    assert Upload.objects.get(pk=archive.pk).status == "parsing"
    monkeypatch.setattr(ingest, "member_store", real)
    Upload.objects.filter(pk=archive.pk).update(lease_expires_at="2020-01-01T00:00Z")
    runner(worker)
    archive.refresh_from_db()
    assert (archive.status, archive.children.count(), archive.members.count()) == ("done", 4, 4)
    assert Scan.objects.count() == 4


def test_an_attempt_that_lost_its_lease_changes_nothing(ingested, hand_in, worker):
    archive = hand_in(zipped({"1.png": png()}))
    [late] = Upload.objects.all().claim(lease=-LEASE)
    runner(worker)
    assert not archive_finish(archive=late, members=[], skipped=[])
    assert archive.members.count() == 1


def test_an_archive_uploaded_again_tries_again_what_came_to_nothing(ingested, hand_in):
    data = zipped({"1.png": png(1), "2.png": b"none"})
    archive = ingested(data, patient_id="P-1")
    refused = archive.children.get(status="refused")
    assert hand_in(data, patient_id="P-1").status == "received"
    again = ingested(data)
    assert (again.pk, again.status, again.members.count()) == (archive.pk, "done", 2)
    refused.refresh_from_db()
    assert refused.attempts == 1
    assert (Upload.objects.count(), Scan.objects.count()) == (3, 1)


def test_an_archive_uploaded_for_another_patient_is_a_conflict(ingested, tmp_path):
    film = write(tmp_path / "film", dataset(chest(), PatientID="4711")).read_bytes()
    data = zipped({"film": film})
    archive = ingested(data)
    assert ingested(data, patient_id="4711") == archive
    with pytest.raises(CodedError, match="patient_conflict"):
        ingested(data, patient_id="P-2")


def test_failure_on_our_side_while_a_member_is_stored_blames_no_file(hand_in, worker, monkeypatch):
    def full(**_):
        raise CodedError("unavailable")

    monkeypatch.setattr(archives, "store_received", full)
    archive = hand_in(zipped({"1.png": png()}))
    runner(worker)
    archive.refresh_from_db()
    assert (archive.status, archive.error_code) == ("failed", "internal")
    assert storage.path_of(archive.stored_name).exists()


def test_an_archive_has_the_time_that_thousands_of_members_take(hand_in, worker, monkeypatch):
    limits = []

    class Heartbeat:
        def __init__(self, job, *, limit):
            limits.append(limit)

        def __enter__(self): ...
        def __exit__(self, *_): ...

    monkeypatch.setattr(ingest, "Heartbeat", Heartbeat)
    hand_in(zipped({"1.png": png()}))
    runner(worker)
    assert limits == [ingest.ARCHIVE_LIMIT_SECONDS, ingest.LIMIT_SECONDS]


def test_a_dicom_file_whose_preamble_looks_like_an_archive_is_read_as_what_it_is(ingested, tmp_path):
    film = bytearray(write(tmp_path / "film", dataset(chest())).read_bytes())
    film[:4] = b"PK\x03\x04"
    assert ingested(bytes(film)).scans.count() == 1
