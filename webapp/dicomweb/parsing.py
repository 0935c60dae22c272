"""Looks into stored DICOM files, which only the confined parsing helper may parse."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings

from classifier.errors import Refused
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


def inspect_or_404(path: Path, want: Want, **options: Any) -> Inspection:
    """As `inspect`; what the file does not contain is CodedError `not_found`."""
    try:
        return inspect(path, want, **options)
    except Refused as refused:
        raise CodedError("not_found") from refused
    except FileNotFoundError as error:
        raise CodedError("unavailable", "The file is missing from the store.") from error


def scratch() -> Path:
    folder = settings.HILUM_DATA / "scratch"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def with_bulk_urls(content: bytes, base: str) -> dict[str, Any]:
    """DICOM JSON with the addresses of its long values; those that the parser names are not believed."""
    return _addressed(json.loads(content), base)


def _addressed(dataset: dict[str, Any], base: str) -> dict[str, Any]:
    found = {}
    for tag, element in dataset.items():
        if not (len(tag) == 8 and isinstance(element, dict)):
            continue
        if "BulkDataURI" in element:
            element = {"vr": element.get("vr"), "BulkDataURI": f"{base}/{tag}"}
        elif element.get("vr") == "SQ":
            items = element.get("Value") or []
            places = ((f"{base}/{tag}/{number}", item) for number, item in enumerate(items, start=1))
            element = {"vr": "SQ", "Value": [_addressed(item or {}, place) for place, item in places]}
        found[tag] = element
    return found
