"""The Python client: what twenty lines of code meet."""

from __future__ import annotations

import csv
import io
import os
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from tests.architecture.source import ROOT
from tests.factories import AnalysisFactory, ModelVersionFactory, PatientFactory, ScanFactory, UploadFactory
from webapp.api.urls import urlpatterns
from webapp.scans.models import Upload

pytestmark = pytest.mark.django_db
SOURCE = ROOT / "clients" / "python" / "src" / "hilum_client"


@pytest.fixture
def folder(tmp_path) -> Path:
    """Seven files, one of them empty, two the same, one in a folder of its own."""
    (tmp_path / "more").mkdir()
    for n in range(5):
        (tmp_path / f"{n}.png").write_bytes(b"\x89PNG %d" % n)
    (tmp_path / "more" / "same.png").write_bytes(b"\x89PNG 0")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"x")
    return tmp_path


def processed(upload: Upload) -> None:
    Upload.objects.filter(pk=upload.pk).update(status="done")
    scan = ScanFactory(id=upload.pk, upload=upload, site=upload.site)
    AnalysisFactory(
        scan=scan,
        model_version__status="retired",
        status="done",
        finding="pneumonia",
        probabilities={"pneumonia": 0.9, "normal": 0.1},
        uncertainty=0.3,
    )


def test_every_address_that_it_asks_exists_in_the_description():
    known = {re.sub(r"<uuid:\w+>", "{}", str(pattern.pattern)) for pattern in urlpatterns}
    asked = {
        re.sub(r"\{\w+\}", "{}", path)
        for file in SOURCE.glob("*.py")
        for path in re.findall(r'"((?:[a-z-]+/|\{\w+\}/)+)"', file.read_text())
    }
    assert len(asked) >= 10
    assert asked <= known


def test_it_knows_every_state_of_a_scan():
    from hilum_client.scans import FINISHED

    from webapp.analysis.state import ScanStatus

    assert set(ScanStatus) - FINISHED == {"received", "parsing", "analysing"}


def test_a_file_is_uploaded_and_waited_for(hilum, tmp_path):
    path = tmp_path / "chest.png"
    path.write_bytes(b"\x89PNG image")
    scan = hilum.upload(path, patient_id="P-7")
    assert (scan.status, scan.finished, scan.data["patient_id"]) == ("received", False, "P-7")
    processed(Upload.objects.get(pk=scan.id))
    scan = hilum.wait(scan.id)
    assert (scan.status, scan.finding, scan.probabilities["pneumonia"]) == ("done", "pneumonia", 0.9)
    assert not scan.withheld


def test_a_result_that_does_not_come_is_an_error(hilum, site):
    with pytest.raises(TimeoutError, match="received"):
        hilum.wait(str(UploadFactory(site=site).pk), timeout=0)


def test_a_refusal_is_raised_with_code_and_remedy(hilum):
    from hilum_client import HilumError

    with pytest.raises(HilumError) as refused:
        hilum.scan("6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1")
    assert (refused.value.status, refused.value.code) == (404, "not_found")
    assert refused.value.remedy
    with pytest.raises(HilumError) as refused:
        next(hilum.scans(modality="mri"))
    assert refused.value.problem["errors"] == {"modality": refused.value.problem["errors"]["modality"]}


def test_lists_are_walked_to_their_end(hilum, site, wire):
    scans = [ScanFactory(site=site) for _ in range(5)]
    assert {row["id"] for row in hilum.scans(limit=2)} == {str(scan.pk) for scan in scans}
    assert len(wire.asked) == 3
    PatientFactory(site=site, name="DOE^Jane")
    PatientFactory(site=site, name="DOE^John")
    assert len(list(hilum.search_patients("doe"))) >= 2
    assert not list(hilum.scans(synthetic=True))


def test_labels_models_and_training_are_reached(wire, person, site, no_pauses):
    from hilum_client import Hilum, Unreachable

    from webapp.accounts.services import token_create

    scopes = ("scan.view", "scan.label", "model.view", "model.promote", "training.start")
    _, raw = token_create(user=person("ada", role="admin", site=site), site=site, name="ml", scopes=scopes)
    scan, model = ScanFactory(site=site), ModelVersionFactory(site=site)
    with Hilum("http://localhost", raw, transport=wire) as hilum:
        made = hilum.label(str(scan.pk), {"pneumonia": "present"}, blind=True)
        assert [row["id"] for row in hilum.labels(scan=scan.pk, current=True)] == [made["id"]]
        assert [row["id"] for row in hilum.models(slot="cxr")] == [hilum.model(str(model.pk))["id"]]
        snapshot = hilum.snapshot()
        run = hilum.train(snapshot=snapshot["id"], config={"epochs": 1})
        assert [row["id"] for row in hilum.training_runs()] == [hilum.training_run(run["id"])["id"]]

        def cut(request):
            raise httpx.ReadError("gone")

        wire.cut = cut
        with pytest.raises(Unreachable):
            hilum.promote(str(model.pk), "better")
    assert no_pauses == [], "what changes something is not sent twice"


def test_a_lost_connection_is_tried_again_and_nothing_stored_twice(hilum, wire, tmp_path, no_pauses):
    path, lost = tmp_path / "chest.png", iter([True, True])
    path.write_bytes(b"\x89PNG image")

    def cut(request):
        if next(lost, False):
            raise httpx.ReadError("gone")

    wire.cut = cut
    assert hilum.upload(path).status == "received"
    assert (len(wire.asked), Upload.objects.count()) == (3, 1)
    assert no_pauses == [0.5, 1.0]


def test_a_site_that_does_not_result_is_stated_to_be_unreachable(hilum, wire):
    from hilum_client import Unreachable

    def cut(request):
        raise httpx.ConnectError("down")

    wire.cut = cut
    with pytest.raises(Unreachable):
        hilum.me()
    assert len(wire.asked) == 6


def test_whoever_asks_too_often_waits_as_long_as_they_are_reported(hilum, settings, no_pauses):
    from django.core.cache import cache
    from hilum_client import HilumError

    cache.clear()
    settings.HILUM_API_RATE = 1
    hilum.me()
    hilum._patience = 200.0
    with pytest.raises(HilumError) as refused:
        hilum.me()
    assert refused.value.code == "rate_limited"
    assert all(0.5 <= pause <= 60 for pause in no_pauses)
    assert 140 < sum(no_pauses) <= 200


@pytest.mark.parametrize("stated", ["7", "in seven seconds"])
def test_a_folder_waits_for_a_server_that_is_full_and_is_sent_whole(
    hilum, folder, wire, no_pauses, monkeypatch, stated
):
    """Three refusals by disk, queue and quota; a wait that is no number is a pause like any other."""
    from hilum_client import FolderUpload
    from hilum_client.client import _retry_after

    codes = ["disk_full", "queue_full", "upload_quota"]

    def refuse(request: httpx.Request) -> None:
        if request.method == "POST" and codes:
            status = 429 if codes.pop(0) == "upload_quota" else 503
            wire.instead = httpx.Response(status, headers={"Retry-After": stated}, json={"code": "full"})

    wire.cut = refuse
    sent = FolderUpload(hilum, folder).send()
    assert codes == []
    assert [one.code for one in sent if one.code] == ["empty_file"]
    assert Upload.objects.count() == 5
    assert no_pauses == ([7.0] * 3 if stated == "7" else [0.5, 1.0, 2.0])
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)
    assert 58 <= _retry_after(httpx.Response(503, headers={"Retry-After": in_a_minute})) <= 60


def test_a_folder_whose_quota_stays_used_up_stops_and_goes_on_later(hilum, folder, wire):
    from hilum_client import FolderUpload, HilumError

    hilum._patience = 10.0
    full = httpx.Response(429, headers={"Retry-After": "3000"}, json={"code": "upload_quota"})
    wire.cut = lambda request: setattr(wire, "instead", full)
    with pytest.raises(HilumError, match="upload_quota"):
        FolderUpload(hilum, folder).send()
    wire.cut = lambda request: None
    sent = FolderUpload(hilum, folder).send()
    assert [one.code for one in sent if one.code] == ["empty_file"]


def test_a_folder_is_sent_with_progress_and_reported_as_csv(hilum, folder):
    from hilum_client import FolderUpload
    from hilum_client.folder import write_csv

    upload, seen = FolderUpload(hilum, folder), []
    sent = upload.send(lambda done, total, file: seen.append((done, total)))
    assert seen == [(n, 7) for n in range(1, 8)]
    assert [one.code for one in sent if one.code] == ["empty_file"]
    assert Upload.objects.count() == 5
    for stored in Upload.objects.all():
        processed(stored)
    out = io.StringIO()
    assert write_csv(out, upload.wait(sent)) == 7
    lines = {line["file"]: line for line in csv.DictReader(io.StringIO(out.getvalue()))}
    assert lines["more/same.png"]["id"] == lines["0.png"]["id"]
    assert (lines["1.png"]["finding"], lines["1.png"]["p_pneumonia"]) == ("pneumonia", "0.9")
    assert (lines["empty.png"]["status"], lines["empty.png"]["reason"]) == ("not_accepted", "empty_file")
    assert "not a medical device" in lines["1.png"]["note"]


def test_a_file_whose_name_is_not_utf_8_is_sent_under_a_readable_name(hilum, folder, wire):
    from hilum_client import FolderUpload
    from hilum_client.folder import write_csv

    named = os.path.join(os.fsencode(folder), b"more", b"M\xf6we.png")
    with open(named, "wb") as file:
        file.write(b"\x89PNG of a gull")
    for _ in range(2):
        wire.asked[:] = []
        sent = FolderUpload(hilum, folder).send()
        (one,) = [one for one in sent if "we.png" in one.file]
        assert (one.file, bool(one.id), len(sent)) == ("more/M%F6we.png", True, 8)
    assert len(wire.asked) == 1, "only the empty file is tried again"
    assert Upload.objects.get(pk=one.id).filename == "M%F6we.png"
    processed(Upload.objects.get(pk=one.id))
    out = io.StringIO()
    write_csv(out, iter([(one, hilum.scan(one.id))]))
    out.getvalue().encode()


def test_a_file_that_cannot_be_opened_is_reported_and_the_rest_is_sent(hilum, folder, monkeypatch):
    from hilum_client import FolderUpload

    opened = Path.open

    def refuse(path, *rest, **options):
        if path.name == "3.png":
            raise PermissionError(13, "denied", str(path))
        return opened(path, *rest, **options)

    monkeypatch.setattr(Path, "open", refuse)
    sent = FolderUpload(hilum, folder).send()
    assert {one.file: one.code for one in sent if one.code} == {
        "3.png": "unreadable_file", "empty.png": "empty_file",
    }  # fmt: skip
    monkeypatch.undo()
    assert all(one.id for one in FolderUpload(hilum, folder).send() if one.file != "empty.png")


@pytest.mark.parametrize("name", ["=1+1.png", "+a.png", " @b.png", "－c.png"])
def test_no_file_name_is_a_formula_in_the_csv(name):
    from hilum_client.folder import Sent, write_csv

    out = io.StringIO()
    write_csv(out, iter([(Sent(name, 1, "0", code="empty_file"), None)]))
    (line,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert line["file"] == f"'{name}"


def test_a_folder_that_was_cut_off_twice_is_taken_up_where_it_was(hilum, wire, folder):
    from hilum_client import FolderUpload, Unreachable

    (folder / "empty.png").unlink()
    for stop in (2, 2):
        posts = iter(range(99))

        def cut(request, stop=stop, posts=posts):
            if next(posts) >= stop:
                raise httpx.WriteError("cut off")

        wire.cut = cut
        with pytest.raises(Unreachable):
            FolderUpload(hilum, folder).send()
    assert Upload.objects.count() == 4
    with (folder / ".hilum-upload.jsonl").open("a") as journal:
        journal.write('{"file": "half a li')
    wire.cut, wire.asked[:] = lambda request: None, []
    sent = FolderUpload(hilum, folder).send()
    assert (len(sent), len(wire.asked), Upload.objects.count()) == (6, 2, 5)
    assert all(one.id for one in sent)
    (folder / "1.png").write_bytes(b"\x89PNG changed")
    FolderUpload(hilum, folder).send()
    assert Upload.objects.count() == 6


def test_a_token_without_the_scope_ends_the_folder_at_once(wire, folder, owner, site):
    from hilum_client import FolderUpload, Hilum, HilumError

    from webapp.accounts.services import token_create

    _, raw = token_create(user=owner, site=site, name="reader", scopes=("scan.view",))
    with Hilum("http://localhost", raw, transport=wire) as reader, pytest.raises(HilumError) as refused:
        FolderUpload(reader, folder).send()
    assert (refused.value.code, refused.value.problem["scope"]) == ("insufficient_scope", "scan.upload")
    assert len(wire.asked) == 1


def test_the_command_line_reports_what_is_wrong_in_words(monkeypatch, capsys):
    from hilum_client.__main__ import main

    monkeypatch.delenv("HILUM_TOKEN", raising=False)
    assert main(["whoami"]) == 1
    assert "HILUM_TOKEN" in capsys.readouterr().err


def test_the_command_line_sends_a_folder(monkeypatch, capsys, wire, owner, site, folder):
    from hilum_client import __main__ as command
    from hilum_client.client import Hilum

    from webapp.accounts.services import token_create

    _, raw = token_create(user=owner, site=site, name="cli", scopes=("scan.upload", "scan.view"))
    monkeypatch.setenv("HILUM_TOKEN", raw)
    monkeypatch.setattr(
        command, "Hilum", lambda url, token, verify: Hilum("http://localhost", token, transport=wire)
    )
    assert command.main(["upload", str(folder)]) == 1
    text = capsys.readouterr().err
    assert "empty.png: empty_file" in text
    assert "6 of 7 files uploaded." in text
    assert command.main(["whoami"]) == 0
    assert '"user": "owner"' in capsys.readouterr().out
