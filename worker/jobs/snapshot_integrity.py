"""Whether a snapshot's images are unchanged."""

from __future__ import annotations

import csv
import hashlib

from webapp.core import storage
from worker.runner import Unavailable


def is_unchanged(stored_name: str, fingerprint: str) -> bool:
    """The manifest has its hash and each image its own; raises Unavailable where the store is away."""
    manifest = storage.path_of(stored_name)
    try:
        content = manifest.read_bytes()
        if hashlib.sha256(content).hexdigest() != fingerprint:
            return False
        for line in csv.DictReader(content.decode().splitlines()):
            with (manifest.parent / line["image"]).open("rb") as image:
                if hashlib.file_digest(image, "sha256").hexdigest() != line["sha256"]:
                    return False
    except OSError as error:
        if not storage.is_working():
            raise Unavailable from error
        return False
    return True
