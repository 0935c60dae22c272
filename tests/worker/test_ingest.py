from __future__ import annotations

import errno
from pathlib import Path

import pytest

from classifier.errors import Refused
from classifier.images.sandbox.client import HelperFailed, ResourcesExhausted
from classifier.reasons import RefusalReason
from tests.factories import facts
from webapp.analysis.models import Analysis
from webapp.core import storage
from webapp.scans.models import Scan, Upload
from worker.jobs import ingest
from worker.jobs.ingest import IngestJob
from worker.runner import LEASE, Unavailable

pytestmark = pytest.mark.django_db(transaction=True)


class Helper:
    """Stands in for the parsing helper: returns an image, or raises what it was given."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self.outcomes, self.calls = list(outcomes), 0

    def parse(self, path, folder, *, stated_slot=None, deidentify=None):
        self.calls += 1
        Path(path).stat()
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome:
            raise outcome
        return facts(Path(folder), shade=self.calls)


@pytest.fixture
def job():
    def make(*outcomes: Exception | None) -> IngestJob:
        job = IngestJob()
        job._helper = Helper(*outcomes)
        return job

    return make


def runner(job: IngestJob) -> None:
    while job.step():
        pass


def test_an_upload_becomes_a_scan_with_a_queued_analysis(job, stored_upload, model):
    upload = stored_upload()
    runner(job())
    scan = Scan.objects.get()
    assert scan.pk == upload.pk
    assert storage.path_of(scan.working_name).exists()
    assert Analysis.objects.get(scan=scan).status == Analysis.Status.QUEUED


def test_a_refused_upload_states_why_and_the_next_one_is_read(job, stored_upload):
    refused, good = stored_upload(b"a"), stored_upload(b"b")
    runner(job(Refused(RefusalReason.TOO_SMALL, "3 pixels")))
    refused.refresh_from_db()
    good.refresh_from_db()
    assert (refused.status, refused.refusal) == (Upload.Status.REFUSED, "too_small")
    assert good.status == Upload.Status.DONE


def test_what_goes_wrong_with_one_upload_stays_with_it(job, stored_upload, caplog):
    bad, good = stored_upload(b"a"), stored_upload(b"b")
    runner(job(RuntimeError("DOE^JOHN")))
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.status, bad.error_code) == (Upload.Status.FAILED, "internal")
    assert good.status == Upload.Status.DONE
    assert "DOE" not in caplog.text


def test_an_upload_whose_bytes_are_gone_fails_with_its_code(job, stored_upload):
    upload = stored_upload()
    storage.delete_file(upload.stored_name)
    runner(job())
    upload.refresh_from_db()
    assert (upload.status, upload.error_code) == (Upload.Status.FAILED, "file_missing")


def test_a_helper_that_does_not_start_blames_no_file(job, stored_upload):
    upload = stored_upload()
    with pytest.raises(Unavailable):
        runner(job(HelperFailed("no process")))
    upload.refresh_from_db()
    assert (upload.status, upload.attempts) == (Upload.Status.RECEIVED, 0)


def test_a_file_that_the_machine_did_not_finish_is_kept_for_another_try(job, stored_upload):
    upload = stored_upload()
    runner(job(ResourcesExhausted("took too long to read")))
    upload.refresh_from_db()
    assert (upload.status, upload.error_code) == (Upload.Status.FAILED, "parser_gave_out")
    assert storage.path_of(upload.stored_name).exists()


def test_a_full_disk_costs_no_upload_an_attempt(job, stored_upload, monkeypatch):
    upload = stored_upload()
    monkeypatch.setattr(storage, "is_working", lambda: False)
    for _ in range(5):
        with pytest.raises(Unavailable):
            runner(job(OSError(errno.ENOSPC, "No space left on device")))
    runner(job())
    upload.refresh_from_db()
    assert upload.status == Upload.Status.DONE


def test_a_store_that_is_not_mounted_is_no_missing_file(job, stored_upload):
    upload = stored_upload()
    away = storage.root().rename(storage.root().with_name("away"))
    with pytest.raises(Unavailable):
        runner(job())
    if storage.root().exists():
        storage.root().rmdir()
    away.rename(storage.root())
    runner(job())
    upload.refresh_from_db()
    assert upload.status == Upload.Status.DONE


def test_failure_with_one_file_counts_as_an_attempt_of_that_file(job, stored_upload):
    upload = stored_upload()
    with pytest.raises(Unavailable):
        runner(job(OSError(errno.EIO, "Input/output error")))
    upload.refresh_from_db()
    assert (upload.status, upload.attempts) == (Upload.Status.PARSING, 1)


def test_a_second_run_does_nothing(job, stored_upload):
    stored_upload()
    worker = job()
    runner(worker)
    runner(worker)
    assert worker._helper.calls == 1
    assert Scan.objects.count() == 1


def test_an_attempt_that_lost_its_lease_changes_nothing_and_leaves_no_files(job, stored_upload):
    stored_upload()
    [late] = Upload.objects.all().claim(lease=-LEASE)
    runner(job())
    kept = {path for path in storage.root().rglob("*.png")}
    job()._ingest(late)
    assert {path for path in storage.root().rglob("*.png")} == kept
    assert Scan.objects.count() == 1


def test_images_that_came_before_the_disk_was_full_are_removed(job, stored_upload, monkeypatch):
    put, stored = storage.put_file, []

    def put_two(source, name):
        stored.append(name)
        if len(stored) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(source, name)

    monkeypatch.setattr(storage, "put_file", put_two)
    upload = stored_upload()
    with pytest.raises(Unavailable):
        runner(job())
    assert not list(storage.path_of(upload.stored_name).parent.glob("*.png"))


def test_files_of_a_scan_that_could_not_be_recorded_are_removed(job, stored_upload, monkeypatch):
    def broken(**_):
        raise ValueError("not recorded")

    monkeypatch.setattr(ingest, "upload_finish", broken)
    upload = stored_upload()
    runner(job())
    upload.refresh_from_db()
    assert upload.status == Upload.Status.FAILED
    assert not list(storage.path_of(upload.stored_name).parent.glob("*.png"))
