from __future__ import annotations

import sys
from getpass import getpass

from django.conf import settings

from webapp.backup.errors import BackupError


def passphrase(*, without_secrets: bool, twice: bool) -> str | None:
    """From the settings, else typed by a person; never an argument, which other processes could read."""
    if without_secrets:
        return None
    if settings.HILUM_BACKUP_PASSPHRASE:
        return str(settings.HILUM_BACKUP_PASSPHRASE)
    if not sys.stdin.isatty():
        raise BackupError("passphrase_missing")
    typed = getpass("Passphrase of the secrets: ")
    if not typed or (twice and getpass("Again: ") != typed):
        raise BackupError("passphrase_missing", "Both entries must be the same, and not empty.")
    return typed
