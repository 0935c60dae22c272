"""One command makes a complete backup, stores each file once, and finds damage."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from django.core.management import CommandError, call_command

from tests.webapp.backup.conftest import PASSPHRASE, finished
from webapp.audit.models import AuditEvent
from webapp.backup import making, sealing
from webapp.backup.errors import BackupError
from webapp.backup.models import BackupRun
from webapp.backup.repository import Repository
from webapp.backup.selectors import last_failure, last_success
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.services import upload_store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "backups"


def backup(folder, *arguments: str) -> None:
    call_command("backup", str(folder), *arguments)


def objects(folder) -> list[str]:
    return sorted(path.name for path in (folder / "objects").glob("*/*"))


def test_a_file_that_the_folder_has_is_not_stored_again(scan, owner, site, folder, capsys):
    backup(folder)
    first = objects(folder)
    assert len(first) == len({*first}) >= 3
    backup(folder)
    assert objects(folder) == first
    assert "0 new" in capsys.readouterr().out.splitlines()[-1]
    upload_store(user=owner, site=site, chunks=[b"new bytes"])
    backup(folder)
    assert len(objects(folder)) == len(first) + 1
    assert len(Repository(folder).complete()) == 3


def test_the_success_is_recorded(scan, folder):
    backup(folder)
    run = last_success()
    assert (run.files, run.problems, run.backup) == (5, 0, Repository(folder).find().name)
    event = AuditEvent.objects.get(action="backup.made")
    assert event.detail["files"] == 5


def test_what_is_deleted_meanwhile_is_in_the_backup(scan, owner, site, folder, monkeypatch):
    """Such as a file that is refused between the dump of its row and the copy of its bytes."""
    upload, _ = upload_store(user=owner, site=site, chunks=[b"refused soon"])
    real = making._copy_files

    def delete_first(*arguments):
        storage.delete_file(upload.stored_name)
        return real(*arguments)

    monkeypatch.setattr(making, "_copy_files", delete_first)
    backup(folder)
    found = Repository(folder).find()
    assert found.manifest.problems == []
    assert upload.stored_name in {entry.name for entry in found.entries()}
    assert not storage.path_of(upload.stored_name).exists()
    assert list((storage.root() / storage.HELD).glob("*/*")) == []


def test_without_a_backup_a_file_is_deleted_at_once(scan):
    storage.delete_file(scan.preview_name)
    assert not list(storage.root().rglob("*preview*"))


def test_a_file_that_is_missing_or_damaged_is_named_and_the_rest_is_kept(scan, folder, capsys):
    storage.delete_file(scan.working_name)
    storage.path_of(scan.display_name).write_bytes(b"!")
    with pytest.raises(CommandError, match="2 files are not in the backup"):
        backup(folder)
    named = capsys.readouterr().err.splitlines()
    assert sorted(named) == [f"damaged: {scan.display_name}", f"missing: {scan.working_name}"]
    assert Repository(folder).find().manifest.files == 3
    assert last_success().problems == 2


def test_an_interrupted_backup_is_no_backup_and_the_next_one_goes_on(scan, folder, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(Repository, "publish", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            backup(folder)
    left = objects(folder)
    assert left, "what was copied is not copied again"
    assert Repository(folder).complete() == []
    with pytest.raises(CommandError, match="backup_missing"):
        backup(folder, "--verify")
    (folder / "backups" / ".partial-killed").mkdir()
    backup(folder)
    assert [path.name[0] for path in (folder / "backups").iterdir()] == ["2"]
    assert objects(folder) == left


def test_old_backups_go_with_the_files_that_only_they_had(scan, owner, site, folder):
    upload, _ = upload_store(user=owner, site=site, chunks=[b"to be deleted"])
    backup(folder)
    upload.delete()
    storage.delete_file(upload.stored_name)
    backup(folder, "--keep", "2")
    assert upload.sha256 in objects(folder)
    backup(folder, "--keep", "2")
    assert len(Repository(folder).complete()) == 2
    assert upload.sha256 not in objects(folder)
    backup(folder, "--verify")


def test_verifying_computes_every_hash_and_the_next_backup_repairs(scan, folder, capsys):
    backup(folder)
    backup(folder, "--verify")
    assert capsys.readouterr().out.splitlines()[-1] == "1 backups, all as they were written."
    repository = Repository(folder)
    entry = next(repository.find().entries())
    repository.object_of(entry.sha256).write_bytes(b"x" * entry.size)
    with pytest.raises(CommandError, match="backup_damaged"):
        backup(folder, "--verify")
    assert f"{entry.name} is damaged" in capsys.readouterr().err
    backup(folder)
    backup(folder, "--verify")


@pytest.mark.parametrize("part", ["files.jsonl.gz", "secrets.json", "database"])
def test_a_damaged_part_is_found(scan, folder, capsys, part):
    backup(folder)
    found = Repository(folder).find()
    path = found.folder / (found.manifest.database if part == "database" else part)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CommandError, match="backup_damaged"):
        backup(folder, "--verify")
    assert f"{path.name} is damaged" in capsys.readouterr().err


def test_two_backups_at_once_are_refused(scan, folder, monkeypatch):
    monkeypatch.setattr(storage, "HOLD_WAIT_SECONDS", 0.1)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with storage.deletions_held():
            entered.set()
            leave.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(30)
    try:
        with pytest.raises(CommandError, match="backup_running"):
            backup(folder)
    finally:
        leave.set()
        thread.join()
    assert last_failure().error_code == "backup_running"


def test_the_passphrase_is_demanded_and_never_an_argument(scan, folder, settings):
    settings.HILUM_BACKUP_PASSPHRASE = ""
    with pytest.raises(CommandError, match="passphrase_missing"):
        backup(folder)
    backup(folder, "--without-secrets")
    assert "secrets.json" not in Repository(folder).find().manifest.parts
    done = subprocess.run(
        [sys.executable, "manage.py", "backup", "--help"], capture_output=True, text=True, check=True
    )
    assert "--passphrase" not in done.stdout


def test_the_secrets_are_sealed(scan, folder, settings):
    backup(folder)
    content = (Repository(folder).find().folder / "secrets.json").read_bytes()
    assert settings.SECRET_KEY.encode() not in content
    assert sealing.unseal(content, PASSPHRASE)["SECRET_KEY"] == settings.SECRET_KEY
    with pytest.raises(BackupError, match="passphrase_wrong"):
        sealing.unseal(content, "another passphrase")


def test_nothing_in_the_folder_is_for_other_users(scan, folder):
    backup(folder)
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder / "backups").iterdir())


def test_a_folder_of_something_else_is_left_alone(scan, folder):
    folder.mkdir()
    (folder / "thesis.odt").write_text("irreplaceable")
    with pytest.raises(CommandError, match="folder_invalid"):
        backup(folder, "--keep", "1")
    assert [path.name for path in folder.iterdir()] == ["thesis.odt"]
    with pytest.raises(CommandError, match="backup_missing"):
        backup(folder, "--verify")


def test_a_missing_program_of_the_database_is_named(scan, folder, monkeypatch):
    from django.db import connection

    if connection.vendor != "postgresql":
        pytest.skip("SQLite needs no program")
    monkeypatch.setattr("webapp.backup.database.shutil.which", lambda name: None)
    with pytest.raises(CommandError, match=r"tool_missing: .*pg_dump"):
        backup(folder)
    assert BackupRun.objects.get().error_code == "tool_missing"


def test_finished_uploads_are_whole_in_the_backup(scan, owner, site, folder):
    other = finished(owner, site, b"one more")
    backup(folder)
    names = {entry.name for entry in Repository(folder).find().entries()}
    assert {other.display_name, other.working_name, other.preview_name} < names


def test_the_folder_must_not_be_written_by_two(scan, folder):
    repository = Repository(folder)
    repository.prepare()
    with repository.locked(), pytest.raises(CodedError, match="Another backup"):
        making.make_backup(folder, passphrase=None)
