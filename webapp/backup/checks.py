"""System checks of scheduled backups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from webapp.backup.selectors import State, backup_state

Configs = Sequence[AppConfig] | None


@register(Tags.files)
def backups_have_a_place_and_a_passphrase(app_configs: Configs, **kwargs: Any) -> list[CheckMessage]:
    if not settings.HILUM_BACKUP_FOLDER:
        return []
    found: list[CheckMessage] = []
    folder, media = Path(settings.HILUM_BACKUP_FOLDER), settings.HILUM_DATA / "media"
    if not folder.is_absolute() or media == folder or media in folder.parents:
        hint = "Name an absolute path outside HILUM_DATA/media, on another disk."
        found.append(Error("HILUM_BACKUP_FOLDER cannot hold backups.", hint=hint, id="hilum.E023"))
    if len(settings.HILUM_BACKUP_PASSPHRASE) < 12:
        hint = "Use at least 12 characters, and keep them outside this system."
        found.append(Error("HILUM_BACKUP_PASSPHRASE is missing or short.", hint=hint, id="hilum.E024"))
    return found


@register("backups", deploy=True)
def backups_are_made(app_configs: Configs, **kwargs: Any) -> list[CheckMessage]:
    try:
        state = backup_state()
    except DatabaseError:
        return []  # not migrated yet, or unreachable: other checks report that
    texts = {
        State.OFF: ("No backup is scheduled.", "Set HILUM_BACKUP_FOLDER; see docs/backup.md."),
        State.FAILED: ("The last backup failed.", "See the log of the ingest worker."),
        State.OVERDUE: ("A backup is overdue.", "Check the ingest worker and HILUM_BACKUP_FOLDER."),
    }
    if state not in texts:
        return []
    message, hint = texts[state]
    return [Warning(message, hint=hint, id="hilum.W025")]
