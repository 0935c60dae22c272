"""A backup that was made while people upload becomes the same system again, in an empty one only."""

from __future__ import annotations

import json
import threading

import pytest
from django.core.management import call_command
from django.db import connection

from tests.webapp.backup.conftest import files_of, finished
from webapp.backup.repository import Repository
from webapp.backup.services import backup_now
from webapp.core import storage
from webapp.scans.services import upload_store

pytestmark = [pytest.mark.django_db(transaction=True)]
STATE = """
import json
from webapp.audit.models import AuditEvent
from webapp.audit.verification import ends, verify
from webapp.scans.models import Scan, Upload
from django.conf import settings
print(json.dumps({
    "uploads": sorted(Upload.objects.values_list("stored_name", flat=True)),
    "scans": Scan.objects.count(),
    "wrong": [str(one) for one in verify()],
    "restored": AuditEvent.objects.filter(action="backup.restored").count(),
    "key": settings.SECRET_KEY,
}))
"""


def test_a_backup_made_while_uploads_run_restores_to_the_same_system(
    scan, owner, site, empty_system, tmp_path, settings
):
    folder, stop, stored = tmp_path / "backups", threading.Event(), []

    def upload() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            stored.append(upload_store(user=owner, site=site, chunks=[b"image %d" % number])[0])
        connection.close()

    thread = threading.Thread(target=upload)
    thread.start()
    try:
        made = [backup_now(folder=folder, passphrase="p" * 12, keep=None) for _ in range(2)][-1]
    finally:
        stop.set()
        thread.join()
    assert len(stored) > 5
    assert made.backup.manifest.problems == []

    done = empty_system.manage("restore", folder, HILUM_BACKUP_PASSPHRASE="p" * 12)
    assert done.returncode == 0, done.stderr
    here = files_of(storage.root())
    assert empty_system.media == {e.name: here[e.name] for e in made.backup.entries()}
    state = json.loads(empty_system.manage("shell", "-v0", "-c", STATE).stdout.splitlines()[-1])
    assert state["wrong"] == []
    assert (state["scans"], state["restored"]) == (1, 1)
    assert state["key"] == settings.SECRET_KEY
    assert len(state["uploads"]) == made.backup.manifest.counts["scans_upload"]
    assert set(state["uploads"]) <= set(empty_system.media)
    deep = empty_system.manage("check_storage", "--deep")
    assert deep.returncode == 0, deep.stderr

    again = empty_system.manage("restore", folder, HILUM_BACKUP_PASSPHRASE="p" * 12)
    assert again.returncode == 1
    assert "system_not_empty" in again.stderr


def test_a_wrong_passphrase_changes_nothing(scan, empty_system, tmp_path):
    call_command("backup", tmp_path / "backups")
    done = empty_system.manage("restore", tmp_path / "backups", HILUM_BACKUP_PASSPHRASE="another one")
    assert done.returncode == 1
    assert "passphrase_wrong" in done.stderr
    assert empty_system.media == {}
    assert empty_system.manage("restore", tmp_path / "backups", "--without-secrets").returncode == 1, (
        "the audit log cannot be verified without its keys"
    )


@pytest.mark.slow
@pytest.mark.parametrize("part", ["object", "list", "database"])
def test_a_damaged_backup_is_refused(scan, empty_system, tmp_path, part):
    call_command("backup", tmp_path / "backups")
    repository = Repository(tmp_path / "backups")
    backup = repository.find()
    (entry, *_) = backup.entries()
    paths = {
        "object": repository.object_of(entry.sha256),
        "list": backup.folder / "files.jsonl.gz",
        "database": backup.folder / backup.manifest.database,
    }
    paths[part].write_bytes(paths[part].read_bytes()[:-1] + b"!")
    done = empty_system.manage("restore", tmp_path / "backups")
    assert done.returncode == 1
    assert "backup_damaged" in done.stderr
    assert not empty_system.manage("shell", "-v0", "-c", "import webapp").returncode


@pytest.mark.slow
def test_files_of_another_system_are_not_mixed_with_the_backup(scan, empty_system, tmp_path):
    call_command("backup", tmp_path / "backups")
    stray = empty_system.data / "media" / "ab" / "stray"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"!")
    done = empty_system.manage("restore", tmp_path / "backups")
    assert "system_not_empty" in done.stderr
    stray.unlink()
    assert empty_system.manage("restore", tmp_path / "backups").returncode == 0


@pytest.mark.slow
def test_a_backup_of_a_newer_version_is_refused(scan, empty_system, tmp_path):
    call_command("backup", tmp_path / "backups")
    path = Repository(tmp_path / "backups").find().folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["migrations"].append("scans.0099_of_next_year")
    path.write_text(json.dumps(manifest))
    done = empty_system.manage("restore", tmp_path / "backups")
    assert "backup_newer" in done.stderr


@pytest.mark.slow
def test_production_is_given_the_settings_that_differ(scan, owner, site, empty_system, tmp_path, settings):
    finished(owner, site, b"another")
    call_command("backup", tmp_path / "backups")
    other = {"SECRET_KEY": "a-key-of-the-new-machine-that-signs-nothing-0123456789"}
    production = {"HILUM_ENV": "production", "ALLOWED_HOSTS": "h.example.org", **other}
    done = empty_system.manage("restore", tmp_path / "backups", **production)
    assert done.returncode == 0, done.stderr
    assert "restored.env" in done.stdout
    written = empty_system.data / "restored.env"
    assert f"SECRET_KEY='{settings.SECRET_KEY}'\n" in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o600
    assert settings.SECRET_KEY not in done.stdout + done.stderr
