"""Parts of stored files, and the addresses of what their metadata leave out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from classifier.errors import Refused
from classifier.images.sandbox.response import Inspection, Want
from webapp.core.errors import CodedError
from webapp.dicom.parsing import inspect


def inspect_or_404(path: Path, want: Want, **options: Any) -> Inspection:
    """As `inspect`; what the file does not contain is CodedError `not_found`."""
    try:
        return inspect(path, want, **options)
    except Refused as refused:
        raise CodedError("not_found") from refused
    except FileNotFoundError as error:
        raise CodedError("unavailable", "The file is missing from the store.") from error


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
