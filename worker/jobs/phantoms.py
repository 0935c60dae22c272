"""Renders, once, the simulated patients that newcomers find: `HILUM_DATA/phantoms/collection.zip`."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

from django.conf import settings

from webapp.core.storage import phantom_collection
from worker.support.scratch import scratch_folder

logger = logging.getLogger(__name__)

PATIENTS = 4
ENVIRONMENT = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME", "PYTHONNOUSERSITE")  # and no secret


class PhantomCollection:
    """Looked after by the sweeper: a quiet subprocess renders into a scratch folder, then the zip appears.

    One failure is logged and not repeated by this process, so that a broken renderer does not run for ever.
    """

    def __init__(self, command: Callable[[Path], list[str]] | None = None) -> None:
        self._command = command or render_command
        self._process: subprocess.Popen | None = None
        self._folder = Path()
        self._failed = False

    def tend(self) -> None:
        """Start the renderer when the collection is missing, or put away what it has finished."""
        if self._process is not None:
            self._look()
        elif not (phantom_collection().exists() or self._failed):
            self._folder = scratch_folder() / f"phantoms-{uuid.uuid4().hex}"
            self._process = subprocess.Popen(
                self._command(self._folder),
                cwd=settings.BASE_DIR,
                env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
                stdout=subprocess.DEVNULL,
            )

    def close(self) -> None:
        """Stop a renderer that is under way and remove what it has written."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._put_away()

    def _look(self) -> None:
        code = self._process.poll()
        if code is None:
            return
        if code == 0:
            pack(self._folder, phantom_collection())
            logger.info("the simulated patients are rendered")
        else:
            self._failed = True
            logger.warning("rendering the simulated patients failed with exit code %d", code)
        self._put_away()

    def _put_away(self) -> None:
        self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)


def render_command(folder: Path) -> list[str]:
    """Rendering, at the lowest priority where the system knows one: uploads come first."""
    quietly = ["nice", "-n", "19"] if shutil.which("nice") else []
    render = [sys.executable, "-m", "classifier", "phantom", f"--out={folder}", f"--patients={PATIENTS}"]
    return [*quietly, *render]


def pack(folder: Path, target: Path) -> None:
    """Zip a folder's files: whole or not at all. Images are packed already, so they are only stored."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f".{uuid.uuid4().hex}")
    with ZipFile(draft, "w", ZIP_STORED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    os.replace(draft, target)
