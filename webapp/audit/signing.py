"""What makes tampering with the audit log visible: a keyed digest of each event, and the links of its chain.

The digest is HMAC-SHA256 (RFC 2104) over the event as canonical JSON; only who holds a key of AUDIT_KEYS can
make one. A link is SHA-256 over the link before it, the event's number and its digest; the database makes it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC
from typing import Any, Protocol

from django.conf import settings

FIELDS = ("actor_id", "site_id", "patient", "action", "subject", "request_id", "address", "channel")
GLOBAL = "global"


class Signed(Protocol):
    """An audit event, as the model or as a migration sees it."""

    pk: Any
    created_at: Any
    detail: Any


def digest_of(event: Signed, key: str | None = None) -> str:
    """The digest of everything that the event states, as 64 hexadecimal digits."""
    values: dict[str, Any] = {name: _text(getattr(event, name)) for name in FIELDS}
    values |= {
        "id": _text(event.pk),
        "created_at": event.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "detail": _plain(event.detail),
    }
    return _hmac(json.dumps(values, sort_keys=True, separators=(",", ":")), "event", key)


def is_genuine(event: Any) -> bool:
    """Whether the event is as it was signed, with any of the keys."""
    return any(hmac.compare_digest(digest_of(event, key), event.digest) for key in settings.AUDIT_KEYS)


def link_of(previous: str, number: int, digest: str) -> str:
    """The link of the event with this number; `previous` is the empty text for the first one."""
    return hashlib.sha256(f"{previous}:{number}:{digest}".encode()).hexdigest()


def chain_of(site_id: Any) -> str:
    """The chain of a site's events: its id without hyphens, or GLOBAL for what belongs to no site."""
    return str(site_id).replace("-", "") if site_id else GLOBAL


def term_hash(term: str, key: str | None = None) -> str:
    """A searched word, recognised by who holds the key and the word, and unreadable for everybody else."""
    return _hmac(term.strip().casefold(), "term", key)[:32]


def _hmac(text: str, purpose: str, key: str | None) -> str:
    secret = f"hilum.audit.{purpose}:{settings.AUDIT_KEYS[0] if key is None else key}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    """JSON values as every database returns them: PostgreSQL writes 1e3 as 1000."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)
