"""Why a backup or a restore was refused: codes, meanings and remedies."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.core.errors import CodedError


@dataclass(frozen=True)
class Advice:
    problem: str
    remedy: str


CODES: dict[str, Advice] = {
    "passphrase_missing": Advice(
        "There is no passphrase for the secrets.",
        "Set HILUM_BACKUP_PASSPHRASE, or use --without-secrets and keep the settings elsewhere.",
    ),
    "passphrase_wrong": Advice("The passphrase does not open the secrets.", "Use that of the backup."),
    "folder_invalid": Advice(
        "The folder cannot hold backups.",
        "Name an empty folder, or one that holds backups of Hilum, outside HILUM_DATA/media.",
    ),
    "backup_missing": Advice("There is no complete backup.", "Name the folder that `backup` wrote to."),
    "backup_damaged": Advice(
        "The backup is damaged.", "Restore an earlier one (--backup NAME), or another copy of the folder."
    ),
    "backup_newer": Advice(
        "The backup was made by a newer version of Hilum.", "Install that version, then restore."
    ),
    "engine_differs": Advice(
        "The backup is of another database engine.", "Set DATABASE_URL to a database of that engine."
    ),
    "system_not_empty": Advice(
        "This system is not empty.",
        "Restore into a new, empty database and an empty HILUM_DATA, before `migrate`.",
    ),
    "restore_differs": Advice(
        "The restored data differ from the backup.", "Do not use this system. Restore into an empty one."
    ),
    "tool_missing": Advice(
        "A program of PostgreSQL is missing.",
        "Install the PostgreSQL client of the server's version or newer (Debian: postgresql-client).",
    ),
    "tool_failed": Advice("A program of PostgreSQL failed.", "See its message in the log."),
    "disk_failed": Advice(
        "A folder could not be read or written.", "Check free space and permissions of both folders."
    ),
}


class BackupError(CodedError):
    """A refusal with a code of `CODES`; `detail` is put before the remedy."""

    def __init__(self, code: str, detail: str = "") -> None:
        advice = CODES[code]
        super().__init__(code, f"{advice.problem} {detail}".strip(), advice.remedy, 409)
