"""Keyed pseudonyms: stable for the same patient or object, and irreversible without the key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from dataclasses import dataclass
from typing import Any, Self

MIN_KEY_BYTES = 16
PREFIX = "anon-"
_UUID_ROOT = "2.25."
_DAYS_LEAST, _DAYS_SPAN = 366, 3285


def derive_key(secret: bytes, namespace: str) -> bytes:
    """The key of one namespace, such as a site; pseudonyms of different namespaces cannot be linked.

    Raises ValueError for a secret shorter than 16 bytes.
    """
    return hmac.digest(_checked(secret), f"hilum de-identification\0{namespace}".encode(), hashlib.sha256)


@dataclass(frozen=True)
class DeidentifyOptions:
    """The key of the pseudonyms, and whether patient characteristics (age, sex, …) are kept."""

    key: bytes
    keep_characteristics: bool = False

    def __post_init__(self) -> None:
        _checked(self.key)

    def as_json(self) -> dict[str, Any]:
        return {"key": self.key.hex(), "keep_characteristics": self.keep_characteristics}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        return cls(**{**raw, "key": bytes.fromhex(raw["key"])})


class Pseudonyms:
    """HMAC-SHA256 pseudonyms with `key`; raises ValueError for one shorter than 16 bytes.

    Pseudonyms contain a keyed checksum, so that applying the same key again leaves them unchanged.
    """

    def __init__(self, key: bytes) -> None:
        self._key = _checked(key)

    def patient(self, patient_id: str) -> str:
        """`anon-` and 16 letters and digits for a patient ID; empty for an empty one."""
        patient_id = patient_id.strip()
        bare = patient_id.removeprefix(PREFIX)
        if bare != patient_id and self.is_short(bare):
            return patient_id
        return PREFIX + self.short("patient", patient_id) if patient_id else ""

    def is_patient(self, patient_id: str) -> bool:
        """Whether the value is a patient pseudonym of this key."""
        return bool(patient_id) and self.patient(patient_id) == patient_id

    def short(self, kind: str, value: str) -> str:
        """16 letters and digits (60 bits and a checksum) for an identifier; empty for an empty one."""
        value = value.strip()
        if not value or self.is_short(value):
            return value
        body = _letters(self._digest(kind, value))[:12]
        return body + self._check(body)

    def is_short(self, value: str) -> bool:
        return len(value) == 16 and hmac.compare_digest(self._check(value[:12]).encode(), value[12:].encode())

    def uid(self, uid: str) -> str:
        """A UID below 2.25 (PS3.5 B.2) for a UID; empty for an empty one."""
        if not uid or self._is_uid(uid):
            return uid
        body = uuid.UUID(bytes=self._digest("uid", uid)[:16], version=5).bytes[:12]
        return _UUID_ROOT + str(int.from_bytes(body + self._digest("check", body.hex())[:4], "big"))

    def _is_uid(self, uid: str) -> bool:
        number = uid.removeprefix(_UUID_ROOT)
        if number == uid or not (number.isascii() and number.isdecimal()) or int(number) >> 128:
            return False
        whole = int(number).to_bytes(16, "big")
        return hmac.compare_digest(self._digest("check", whole[:12].hex())[:4], whole[12:])

    def days(self, patient_id: str) -> int:
        """The number of days, 366 to 3,650, by which dates of this patient are moved back."""
        number = int.from_bytes(self._digest("days", patient_id.strip())[:8], "big")
        return _DAYS_LEAST + number % _DAYS_SPAN

    def _check(self, body: str) -> str:
        return _letters(self._digest("check", body))[:4]

    def _digest(self, *parts: str) -> bytes:
        # Length-prefixed, so that different lists of parts never give the same message.
        message = b"".join(len(p := part.encode()).to_bytes(4, "big") + p for part in parts)
        return hmac.digest(self._key, message, hashlib.sha256)


def _letters(digest: bytes) -> str:
    return base64.b32encode(digest[:10]).decode().lower()


def _checked(key: bytes) -> bytes:
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"the key must have at least {MIN_KEY_BYTES} bytes")
    return key
