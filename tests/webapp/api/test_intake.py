"""Uploads by programs that lose their connection, repeat themselves, or bring many files at once."""

from __future__ import annotations

import threading
import time
from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError

from tests.factories import AnalysisFactory, ScanFactory, UploadFactory, parsed
from webapp.api import waiting
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.models import ArchiveMember, Upload, UploadKey
from webapp.scans.services import upload_finish
from webapp.scans.uploads import idempotency
from webapp.scans.uploads.files import incoming_folder

SCANS, UPLOADS, STATES = "/api/v1/scans/", "/api/v1/uploads/", "/api/v1/uploads/states/"


def image(content: bytes = b"\x89PNG image", name: str = "chest.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type="image/png")


def send(client, key: str = "key-1", **fields):
    return client.post(SCANS, {"file": image(), **fields}, headers={"idempotency-key": key})


def kept_files() -> set:
    media = (
        {path for path in storage.root().rglob("*") if path.is_file()} if storage.root().exists() else set()
    )
    return media | set(incoming_folder().iterdir())


def test_the_same_key_with_the_same_bytes_is_processed_as_the_first_time(client):
    first = send(client, patient_id="P-7")
    before = kept_files()
    again = send(client, patient_id="P-7")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["id"] == first.json()["id"]
    assert again["Location"] == first["Location"]
    assert ("Idempotency-Replayed" in first, again["Idempotency-Replayed"]) == (False, "true")
    assert (Upload.objects.count(), kept_files()) == (1, before)


def test_a_patient_stated_later_replaces_the_provisional_one(client):
    client.post(SCANS, {"file": image()})
    [upload] = Upload.objects.claim()
    [scan] = upload_finish(upload=upload, results=[parsed(upload, upload.attempt_token)])
    before = client.get(f"{SCANS}{scan.pk}/").json()
    response = client.post(SCANS, {"file": image(), "patient_id": "P-33"})
    assert (response.status_code, response.json()["id"]) == (200, str(scan.pk))
    after = client.get(f"{SCANS}{scan.pk}/").json()
    assert after["patient_id"] == "P-33"
    assert after["patient_uuid"] != before["patient_uuid"]


@pytest.mark.parametrize(
    "other", [{"file": image(b"\x89PNG another")}, {"patient_id": "P-8"}, {"modality": "ct"}]
)
def test_the_same_key_with_another_file_or_claim_is_refused_and_stores_nothing(client, other):
    send(client, patient_id="P-7")
    before = kept_files()
    reply = send(client, **({"patient_id": "P-7"} | other))
    assert (reply.status_code, reply.json()["code"]) == (409, "idempotency_key_reused")
    assert (Upload.objects.count(), kept_files()) == (1, before)


def test_a_key_is_its_senders_own(client, client_of, teammate, site):
    send(client)
    reply = client_of(teammate, site).post(
        SCANS, {"file": image(b"\x89PNG another")}, headers={"idempotency-key": "key-1"}
    )
    assert reply.status_code == 201


def test_neither_key_nor_metadata_are_kept_as_they_were_sent(client):
    client.post(SCANS, {"file": image(), "patient_id": "P-1"}, HTTP_IDEMPOTENCY_KEY="Secretova-4711.dcm")
    kept = UploadKey.objects.get()
    assert "Secretova" not in repr(vars(kept))
    assert len(kept.key) == len(kept.fingerprint) == 64


def test_whoever_was_cut_off_between_key_and_upload_is_processed_as_if_not(client, monkeypatch):
    def dies(**_):
        raise DatabaseError

    with monkeypatch.context() as broken:
        broken.setattr(idempotency, "store_received", dies)
        with pytest.raises(DatabaseError):
            send(client)
    assert UploadKey.objects.get().upload is None
    assert list(incoming_folder().iterdir()) == []
    assert send(client).status_code == 201
    assert send(client).status_code == 201


def test_whoever_was_cut_off_after_the_upload_is_reported_that_it_was_new(client, monkeypatch):
    store_received = idempotency.store_received

    def dies_afterwards(**asked):
        store_received(**asked)
        raise DatabaseError

    with monkeypatch.context() as broken:
        broken.setattr(idempotency, "store_received", dies_afterwards)
        with pytest.raises(DatabaseError):
            send(client)
    assert send(client).status_code == 201
    assert Upload.objects.count() == 1


def test_a_refused_upload_does_not_use_its_key_up(client):
    client.post(SCANS, {"file": image(), "patient_id": "P-1"})
    assert send(client, patient_id="P-2").json()["code"] == "patient_conflict"
    assert not UploadKey.objects.exists()
    assert send(client, patient_id="P-1").status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 201, "a b", "ä"])
def test_a_key_that_cannot_be_one_is_refused(client, key):
    reply = client.post(SCANS, {"file": image()}, HTTP_IDEMPOTENCY_KEY=key)
    assert (reply.status_code, reply.json()["code"]) == (400, "idempotency_key_invalid")


def test_keys_are_forgotten_after_some_days(client):
    send(client)
    assert idempotency.upload_keys_expire() == 0
    UploadKey.objects.update(created_at="2026-01-01T00:00Z")
    assert idempotency.upload_keys_expire() == 1
    assert Upload.objects.count() == 1


def body_of(content: bytes, name: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="a.png"\r\n\r\n'
    return head % name + content + b"\r\n--b--\r\n"


@pytest.mark.parametrize(("where", "name"), [(SCANS, b"file"), (UPLOADS, b"files")])
@pytest.mark.parametrize("came", [30, 90, 3_000_000, -6, -1])
def test_an_upload_that_breaks_off_leaves_nothing_behind(client, where, name, came, settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1000
    whole = body_of(b"\x89PNG" + bytes(4_000_000), name)
    before = kept_files()
    arrived = {"CONTENT_LENGTH": str(len(whole)), "wsgi.input": BytesIO(whole[:came])}
    reply = client.post(where, data=None, **arrived, CONTENT_TYPE="multipart/form-data; boundary=b")
    assert (reply.status_code, reply.json()["code"]) == (400, "incomplete")
    assert (Upload.objects.count(), kept_files()) == (0, before)


def test_many_files_are_each_taken_or_refused_automatically(client):
    client.post(SCANS, {"file": image(b"\x89PNG theirs"), "patient_id": "P-1"})
    files = [
        image(name="1.png"),
        image(b"", name="2.png"),
        image(b"\x89PNG theirs", name="3.png"),
        image(name="4.png"),
    ]
    reply = client.post(UPLOADS, {"files": files, "patient_id": "P-2"})
    assert reply.status_code == 200
    reported = reply.json()["results"]
    assert [(one["file"], one["status"]) for one in reported] == [
        ("1.png", 201),
        ("2.png", 400),
        ("3.png", 409),
        ("4.png", 200),
    ]
    assert [one["problem"]["code"] for one in reported if one["problem"]] == [
        "empty_file",
        "patient_conflict",
    ]
    assert reported[0]["scan"]["id"] == reported[3]["scan"]["id"]
    assert reported[0]["scan"]["patient_id"] == "P-2"
    assert Upload.objects.count() == 2


@pytest.mark.parametrize(("where", "field"), [(SCANS, "file"), (UPLOADS, "files")])
def test_a_request_without_a_body_is_reported_what_it_lacks(client, where, field):
    reply = client.post(where, CONTENT_LENGTH="0")
    assert (reply.status_code, list(reply.json()["errors"])) == (400, [field])


def test_a_heap_of_files_has_a_bound_and_at_least_one_file(client, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 200
    for files in ([], [image(bytes([n + 1])) for n in range(101)]):
        reply = client.post(UPLOADS, {"files": files, "patient_id": "P"})
        assert (reply.status_code, list(reply.json()["errors"])) == (400, ["files"])
    assert not Upload.objects.exists()


def test_one_large_file_among_many_is_reported(client, monkeypatch):
    monkeypatch.setattr("webapp.scans.uploads.files.most_bytes.__kwdefaults__", {"max_bytes": 1000})
    reply = client.post(UPLOADS, {"files": [image(), image(bytes(2000))]})
    assert (reply.status_code, reply.json()["code"]) == (413, "too_large")


def test_what_is_wrong_in_a_list_is_reported_with_its_place(client):
    reply = client.post("/api/v1/patients/lookup/", {"patient_ids": ["P-1", " "]}, "json")
    assert (reply.status_code, reply.json()["errors"]) == (
        400,
        {"patient_ids": ["1: This field may not be blank."]},
    )


def test_the_states_of_a_folder_are_one_question(client, site, other_site, django_assert_max_num_queries):
    uploads = [UploadFactory(site=site, status=status) for status in ("received", "failed")]
    uploads.append(UploadFactory(site=site, status="refused", refusal="too_small"))
    uploads += [AnalysisFactory(scan__site=site).scan.upload, ScanFactory(site=site, slot="ct").upload]
    archive = UploadFactory(site=site, status="done", skipped=[])
    ArchiveMember.objects.create(archive=archive, upload=uploads[0], position=0, name="a.png")
    theirs = UploadFactory(site=other_site)
    asked = {"ids": [str(one.pk) for one in [*uploads, archive, theirs]]}
    client.get("/api/v1/me/")  # the token's last use is noted once a minute
    with django_assert_max_num_queries(6):
        reported = client.post(STATES, asked, "json").json()["results"]
    found = {one["id"]: (one["status"], one["finished"]) for one in reported}
    assert found == {
        str(uploads[0].pk): ("received", False),
        str(uploads[1].pk): ("upload_failed", True),
        str(uploads[2].pk): ("refused", True),
        str(uploads[3].pk): ("analysing", False),
        str(uploads[4].pk): ("waiting", True),
        str(archive.pk): ("analysing", False),
    }


def test_who_may_not_read_scans_follows_their_files_without_learning_names(client_of, owner, teammate, site):
    hers = UploadFactory(site=site, user=owner, filename="DOE.png")
    sender = client_of(teammate, site, ("scan.upload",))
    assert sender.get(f"{UPLOADS}{hers.pk}/").json()["file"] is None
    assert [row["file"] for row in sender.get(UPLOADS).json()["results"]] == [None]
    assert client_of(owner, site, ("scan.upload",)).get(f"{UPLOADS}{hers.pk}/").json()["file"] == "DOE.png"


@pytest.mark.parametrize("wait", ["31", "-1", "x", "1.5"])
def test_a_wait_has_a_bound(client, site, wait):
    reply = client.get(f"{SCANS}{UploadFactory(site=site).pk}/", {"wait": wait})
    assert (reply.status_code, list(reply.json()["errors"])) == (400, ["wait"])


def test_a_result_that_is_there_is_not_waited_for(client, site):
    began = time.monotonic()
    for upload in (
        UploadFactory(site=site, status="refused", refusal="too_small"),
        AnalysisFactory(scan__site=site, status="done").scan.upload,
        ScanFactory(site=site, slot="ct").upload,
        UploadFactory(site=site, status="done", skipped=[]),
    ):
        assert client.get(f"{SCANS}{upload.pk}/", {"wait": 20}).status_code == 200
    assert time.monotonic() - began < 10


def test_a_result_is_reported_as_soon_as_it_is_there(client, site, monkeypatch):
    upload = UploadFactory(site=site)
    looks = []

    def arrives(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            Upload.objects.filter(pk=upload.pk).update(status="refused", refusal="too_small")

    monkeypatch.setattr(waiting.time, "sleep", arrives)
    reply = client.get(f"{SCANS}{upload.pk}/", {"wait": 20})
    assert (reply.json()["status"], len(looks)) == ("refused", 3)


def test_a_wait_that_is_over_reports_how_far_it_has_come(client, site):
    began = time.monotonic()
    reply = client.get(f"{SCANS}{UploadFactory(site=site).pk}/", {"wait": 1})
    assert reply.json()["status"] == "received"
    assert 1 <= time.monotonic() - began < 6


def test_only_a_few_threads_wait_at_once_and_the_others_are_processed(client, site, monkeypatch):
    monkeypatch.setattr(waiting, "_places", threading.BoundedSemaphore(1))
    waiting._places.acquire()
    monkeypatch.setattr(waiting.time, "sleep", lambda _: pytest.fail("it waits"))
    assert client.get(f"{SCANS}{UploadFactory(site=site).pk}/", {"wait": 30}).status_code == 200
    waiting._places.release()


@pytest.mark.parametrize("broken", [CodedError("not_found")])
def test_a_place_is_given_back_when_waiting_ends_in_an_error(monkeypatch, broken):
    monkeypatch.setattr(waiting, "_places", threading.BoundedSemaphore(1))
    monkeypatch.setattr(waiting, "is_under_way", lambda _: (_ for _ in ()).throw(broken))
    with pytest.raises(CodedError):
        waiting.wait_until_finished(None, 3)
    assert waiting._places.acquire(blocking=False)
