"""Restoring a backup into an empty system, and proving that it is the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from webapp.analysis.stored_files.check import check
from webapp.audit.commands import system_user
from webapp.audit.services import record
from webapp.audit.verification import Anchor, verify
from webapp.backup import database, sealing
from webapp.backup.errors import BackupError
from webapp.backup.making import system_secrets
from webapp.backup.repository import SECRETS, Backup, Changed, Repository, copy_checked, sha256_of
from webapp.core import storage
from webapp.settings.environment import Mode, secret_variables

RESTORED = "restored.env"
GENERATED = {"SECRET_KEY": "secret-key", "DEIDENTIFY_KEY": "deidentify-key"}


def restore(folder: Path, *, name: str = "", passphrase: str | None) -> tuple[Backup, list[str]]:
    """Restore the backup of this name (default: the newest) and check it.

    `passphrase` None leaves the secrets out. Returns the backup, and the variables that a person has to set
    from HILUM_DATA/restored.env before Hilum starts. The database is loaded last: an interrupted restore can
    be repeated. Raises BackupError.
    """
    repository = Repository(folder)
    backup = repository.find(name)
    secrets = _opened(backup, passphrase)
    _check_fits(backup)
    try:
        _restore_files(repository, backup)
        database.load(backup.folder / backup.manifest.database)
        changed = _keep_secrets(secrets)
    except OSError as error:
        raise BackupError("disk_failed", error.strerror or type(error).__name__) from error
    _check_counts(backup)
    # A newer version may read the restored tables only after its own migrations.
    call_command("migrate", interactive=False, verbosity=0)
    _check_system(backup)
    detail = {"backup": backup.name, "files": backup.manifest.files, "system_user": system_user()}
    record(actor=None, site=None, action="backup.restored", detail=detail)
    return backup, changed


def _opened(backup: Backup, passphrase: str | None) -> dict[str, str]:
    if passphrase is None:
        return {}
    if SECRETS not in backup.manifest.parts:
        raise BackupError("backup_missing", "This backup has no secrets: use --without-secrets.")
    return sealing.unseal((backup.folder / SECRETS).read_bytes(), passphrase)


def _check_fits(backup: Backup) -> None:
    manifest = backup.manifest
    if manifest.engine != connection.vendor:
        raise BackupError("engine_differs", f"It is of {manifest.engine}, not {connection.vendor}.")
    if not database.is_empty():
        raise BackupError("system_not_empty", "Its database has tables.")
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if set(manifest.migrations) - known:
        raise BackupError("backup_newer", f"Its version is {manifest.version}.")
    for part, sha256 in manifest.parts.items():
        if not (backup.folder / part).is_file() or sha256_of(backup.folder / part) != sha256:
            raise BackupError("backup_damaged", f"{part} is not as it was written.")


def _restore_files(repository: Repository, backup: Backup) -> None:
    named = {entry.name for entry in backup.entries()}
    foreign = next((name for name in _stored() if name not in named), None)
    if foreign:
        raise BackupError("system_not_empty", f"{storage.root()} holds other files.")
    for entry in backup.entries():
        target = storage.path_of(entry.name)
        if target.is_file() and sha256_of(target) == entry.sha256:
            continue
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with repository.object_of(entry.sha256).open("rb") as source:
                copy_checked(source, target, entry.sha256)
        except (FileNotFoundError, Changed) as error:
            raise BackupError("backup_damaged", f"The file {entry.name} is missing or damaged.") from error


def _stored() -> Iterator[str]:
    for path in storage.root().rglob("*"):
        name = path.relative_to(storage.root()).as_posix()
        if (
            path.is_file()
            and not name.startswith(f"{storage.HELD}/")
            and not path.name.startswith(storage.DRAFT)
        ):
            yield name


def _keep_secrets(secrets: dict[str, str]) -> list[str]:
    """Go on with the restored secrets; those that a person has to set are written to a file."""
    current = system_secrets()
    differing = {name: value for name, value in secrets.items() if current.get(name) != value}
    settings.SECRET_KEY = secrets.get("SECRET_KEY", settings.SECRET_KEY)
    settings.DEIDENTIFY_KEY = secrets.get("DEIDENTIFY_KEY", settings.DEIDENTIFY_KEY)
    if "AUDIT_KEYS" in secrets:
        settings.AUDIT_KEYS = secrets["AUDIT_KEYS"].split(",")
    elif "SECRET_KEY" in secrets:
        settings.AUDIT_KEYS = [secrets["SECRET_KEY"]]
    if "WEBHOOK_KEYS" in secrets:
        settings.WEBHOOK_KEYS = secrets["WEBHOOK_KEYS"].split(",")
    if settings.HILUM_ENV != Mode.PRODUCTION:
        for name in (set(differing) & set(GENERATED)) - set(secret_variables()):
            _write_private(settings.HILUM_DATA / GENERATED[name], differing.pop(name))
    if differing:
        lines = [f"{name}='{value}'\n" for name, value in sorted(differing.items())]
        _write_private(settings.HILUM_DATA / RESTORED, "".join(lines))
    return sorted(differing)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def _check_counts(backup: Backup) -> None:
    counts, wanted = database.Snapshot().counts(), backup.manifest.counts
    differing = sorted(table for table in wanted if counts.get(table) != wanted[table])
    if differing:
        raise BackupError("restore_differs", f"Rows are missing in: {', '.join(differing)}.")


def _check_system(backup: Backup) -> None:
    anchors = [Anchor(**end) for end in backup.manifest.audit_ends]
    found = list(verify(anchors))
    if found:
        raise BackupError("restore_differs", f"The audit log has {len(found)} discrepancies: {found[0]}.")
    missing = set(check().missing) - {name for name, _ in backup.manifest.problems}
    if missing:
        raise BackupError("restore_differs", f"{len(missing)} files are missing.")
