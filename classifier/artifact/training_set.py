"""Which images and patients a model has learned from, as keyed fingerprints in the artifact's header."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PARTS = ("train", "val")
FINGERPRINT = 16  # hex digits of an HMAC-SHA256: 64 bits, so 20,000 images collide with a chance of 1e-11


@dataclass(frozen=True)
class TrainingSet:
    """Fingerprints of the images (sha256 of their files) and patients used for training and validation.

    HMAC-SHA256 under a random `key`, shortened. The key is stored with them in the artifact: this is
    pseudonymisation against casual reading, not secrecy. Whoever holds the file can test any patient ID.
    """

    key: str
    images: Mapping[str, frozenset[str]]  # by part
    patients: Mapping[str, frozenset[str]]

    @classmethod
    def of(
        cls, used: Mapping[str, Iterable[tuple[str, str]]], *, base: TrainingSet | None = None
    ) -> TrainingSet:
        """From (image sha256, patient ID) pairs by part, added to those of the model trained from, if any.

        A fine-tuned model keeps its base's key, because the base's members are known by fingerprint only.
        """
        empty = cls(secrets.token_hex(16), {}, {})
        base = base or empty
        pairs = {part: list(used.get(part, ())) for part in PARTS}
        images, patients = (
            {
                part: frozenset(base._fingerprint(kind, pair[at]) for pair in pairs[part])
                | earlier.get(part, frozenset())
                for part in PARTS
            }
            for at, (kind, earlier) in enumerate((("image", base.images), ("patient", base.patients)))
        )
        return cls(base.key, images, patients)

    def contains_image(self, sha256: str) -> bool:
        return any(self._fingerprint("image", sha256) in part for part in self.images.values())

    def contains_patient(self, patient: str) -> bool:
        return any(self._fingerprint("patient", patient) in part for part in self.patients.values())

    def _fingerprint(self, kind: str, value: str) -> str:
        digest = hmac.new(bytes.fromhex(self.key), f"{kind}:{value}".encode(), hashlib.sha256)
        return digest.hexdigest()[:FINGERPRINT]

    def to_json(self) -> str:
        parts = {
            name: {part: sorted(members) for part, members in getattr(self, name).items()}
            for name in ("images", "patients")
        }
        return json.dumps({"key": self.key, **parts}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> TrainingSet:
        """Raises ValueError, KeyError, TypeError or AttributeError for another text."""
        value = json.loads(text)
        bytes.fromhex(value["key"])
        images, patients = (
            {str(part): frozenset(map(str, members)) for part, members in value[name].items()}
            for name in ("images", "patients")
        )
        return cls(value["key"], images, patients)
