"""Rows and files are compared: what is missing, damaged or orphaned is named."""

from __future__ import annotations

import shutil

import pytest
from django.core.management import CommandError, call_command

from tests.factories import artifact, parsed
from webapp.core import storage
from webapp.registry.services import model_register
from webapp.scans.models import Upload
from webapp.scans.services import upload_finish, upload_store

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
