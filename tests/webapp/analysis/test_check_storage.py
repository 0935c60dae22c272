"""Rows and files are compared: what is missing, damaged or orphaned is named."""

from __future__ import annotations

import os
import shutil
import time
from io import BytesIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from tests.factories import artifact, parsed
from webapp.audit.models import AuditEvent
from webapp.core import storage
from webapp.core.models import FileProblem
from webapp.registry.models import ModelVersion
from webapp.registry.services import model_register
from webapp.scans.models import Scan, Upload
from webapp.scans.services import upload_finish, upload_store
from worker.jobs.ingest import IngestJob

pytestmark = pytest.mark.django_db


@pytest.fixture
def scan(owner, site, settings, tmp_path):
    """One scan and one model in an otherwise empty store."""
    settings.HILUM_DATA = tmp_path / "data"
    settings.HILUM_DATA.mkdir()
    upload_store(user=owner, site=site, chunks=[b"bytes"])
    upload = Upload.objects.claim()[0]
    image = parsed(upload, upload.attempt_token)
    model_register(artifact(tmp_path / "m.safetensors"))
    return upload_finish(upload=upload, results=[image])[0]


def reported(capsys, *arguments: str) -> tuple[bool, list[str]]:
    """Whether the command was content, and what it named."""
    try:
        call_command("check_storage", *arguments)
        content = True
    except CommandError:
        content = False
    return content, [line for line in capsys.readouterr().out.splitlines() if ": " in line]


def test_a_store_in_order_is_five_files_as_their_rows_state(scan, capsys):
    call_command("check_storage", "--deep")
    assert capsys.readouterr().out == "5 files, all match their rows.\n"


def test_a_missing_file_is_named(scan, capsys):
    storage.delete_file(scan.working_name)
    assert reported(capsys) == (False, [f"missing: {scan.working_name}"])


def test_a_changed_file_is_found_by_looking_deep(scan, capsys):
    with storage.path_of(scan.display_name).open("ab") as file:
        file.write(b"!")
    assert reported(capsys) == (True, [])
    assert reported(capsys, "--deep") == (False, [f"damaged: {scan.display_name}"])


def test_an_orphan_is_named_after_its_grace_and_removed_on_wish(scan, capsys):
    orphan = f"{scan.id.hex[:2]}/{scan.id}/0000-display.png"
    shutil.copyfile(storage.path_of(scan.display_name), storage.root() / orphan)
    assert reported(capsys) == (True, []), "it may be about to get its row"
    assert reported(capsys, "--grace", "0") == (False, [f"orphaned: {orphan}"])
    assert reported(capsys, "--grace", "0", "--remove-orphans") == (True, [f"orphaned: {orphan}"])
    assert reported(capsys, "--grace", "0", "--deep") == (True, [])


def test_a_repair_removes_orphans_of_yesterday_and_no_younger_ones(scan, capsys):
    orphans = [storage.root() / f"{scan.id.hex[:2]}/{scan.id}/{age}-display.png" for age in ("old", "new")]
    for orphan in orphans:
        shutil.copyfile(storage.path_of(scan.display_name), orphan)
    yesterday = time.time() - 86_500
    os.utime(orphans[0], (yesterday, yesterday))
    call_command("check_storage", "--repair")
    assert [orphan.exists() for orphan in orphans] == [False, True]
    assert "1 orphaned files removed" in capsys.readouterr().out


def test_a_repair_marks_what_stays_missing_and_forgets_it_when_it_is_back(scan, capsys):
    """The original of this scan is no image, so that its images cannot be made again."""
    lost = storage.path_of(scan.working_name)
    content = lost.read_bytes()
    lost.unlink()
    with storage.path_of(scan.display_name).open("ab") as file:
        file.write(b"!")
    assert reported(capsys, "--deep", "--repair")[0] is False
    marks = {scan.working_name: "missing", scan.display_name: "damaged"}
    assert dict(FileProblem.objects.values_list("name", "kind")) == marks
    assert AuditEvent.objects.get(action="storage.repaired").detail["marked"] == 2
    lost.write_bytes(content)
    reported(capsys, "--repair")
    assert list(FileProblem.objects.values_list("kind", flat=True)) == ["damaged"], "this run read no hash"


def test_images_are_made_again_from_the_original(owner, site, settings, tmp_path, capsys):
    settings.HILUM_DATA = tmp_path / "data"
    settings.HILUM_DATA.mkdir()
    file = BytesIO()
    grey = np.random.default_rng(1).integers(0, 60_000, (300, 280), dtype=np.uint16)
    Image.fromarray(grey).save(file, "PNG")
    upload_store(user=owner, site=site, chunks=[file.getvalue()])
    job = IngestJob()
    job.prepare()
    try:
        assert job.step()
    finally:
        job.close()
    scan = Scan.objects.get()
    names = [scan.display_name, scan.working_name, scan.preview_name]
    before = [storage.path_of(name).read_bytes() for name in names]
    storage.delete_file(scan.preview_name)
    storage.delete_file(scan.display_name)
    storage.path_of(scan.working_name).write_bytes(b"!")
    call_command("check_storage", "--deep", "--repair")
    assert "3 files made again" in capsys.readouterr().out
    assert [storage.path_of(name).read_bytes() for name in names] == before
    call_command("check_storage", "--deep")


def test_a_shipped_model_is_copied_again(scan, settings, tmp_path, capsys):
    version = ModelVersion.objects.get()
    settings.HILUM_ARTIFACTS = tmp_path
    storage.delete_file(version.stored_name)
    call_command("check_storage", "--repair")
    assert "1 files made again" in capsys.readouterr().out
    call_command("check_storage", "--deep")
