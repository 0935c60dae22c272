"""Looks into DICOM files, which only the confined parsing helper may parse."""

from __future__ import annotations

import tempfile
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings

from classifier.images.sandbox.client import HelperFailed, ParsingHelper
from classifier.images.sandbox.response import Inspection, ResourcesExhausted, Want
from webapp.core.errors import CodedError

# The helper serves one file at a time; more than these would only wait in threads that pages need.
WAITING = 6
_helper: ParsingHelper | None = None
_places = BoundedSemaphore(WAITING)


def inspect(path: Path, want: Want, **options: Any) -> Inspection:
    """Raises Refused for a file that cannot be parsed, CodedError `unavailable`, FileNotFoundError."""
    global _helper
    _helper = _helper or ParsingHelper(settings.HILUM_SANDBOX)
    if not _places.acquire(timeout=20):
        raise CodedError("unavailable", "Too many files are being parsed.")
    try:
        with tempfile.TemporaryDirectory(dir=scratch()) as folder:
            return _helper.inspect(path, folder, want, **options)
    except (HelperFailed, ResourcesExhausted) as error:
        raise CodedError("unavailable", "The file could not be parsed now.") from error
    finally:
        _places.release()


def scratch() -> Path:
    folder = settings.HILUM_DATA / "scratch"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
