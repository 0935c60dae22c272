"""UIDs of result objects: the same content always has the same UID, so that a retry sends the same object."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

# Never change it: all UIDs that were sent follow from it.
_OURS = uuid.UUID("5a3e4f0c-9c1d-4a86-8a4e-7f3d0c5b2e61")


def uid_of(*parts: object) -> str:
    """A UID after PS3.5 B.2, the same for the same parts."""
    return f"2.25.{uuid.uuid5(_OURS, '|'.join(map(str, parts))).int}"


def digest_of(content: Any) -> str:
    """SHA-256 of JSON content; equal content has an equal digest."""
    written = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(written.encode()).hexdigest()
