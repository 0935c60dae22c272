"""Folders for what is under way; whatever a killed process left there is removed after a while."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)

STALE_SECONDS = 6 * 60 * 60


def scratch_folder() -> Path:
    folder = settings.HILUM_DATA / "scratch"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def work_folder(name: str) -> Path:
    """The folder of a training, data validation or comparison, which outlives a killed worker."""
    folder = settings.HILUM_DATA / "training" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def remove_stale(folder: Path, *, older_than: float = STALE_SECONDS) -> int:
    """Remove what lies directly in `folder` untouched for `older_than` seconds; returns how many things."""
    removed = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            if time.time() - path.lstat().st_mtime < older_than:
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            removed += 1
        except FileNotFoundError:
            continue  # its owner was quicker
        except OSError as error:
            logger.warning("%s cannot be removed: %s", path.name, error.strerror)
    return removed
