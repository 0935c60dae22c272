"""Which images and patients a model has learned from, as keyed fingerprints in the artifact's header."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PARTS = ("train", "val")
NAMES = ("images", "patients")
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
        cls, used: Mapping[str, Sequence[tuple[str, str]]], *, base: TrainingSet | None = None
    ) -> TrainingSet:
        """From (image sha256, patient ID) pairs by part, added to those of the model trained from, if any.

        A fine-tuned model keeps its base's key, because the base's members are known by fingerprint only.
        """
        base = base or cls(secrets.token_hex(16), {}, {})

        def members(kind: str, at: int, earlier: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
            return {
                part: earlier.get(part, frozenset())
                | {base._fingerprint(kind, pair[at]) for pair in used.get(part, ())}
                for part in PARTS
            }

        return cls(base.key, members("image", 0, base.images), members("patient", 1, base.patients))

    def contains_image(self, sha256: str) -> bool:
        return any(self._fingerprint("image", sha256) in part for part in self.images.values())

    def contains_patient(self, patient: str) -> bool:
        return any(self._fingerprint("patient", patient) in part for part in self.patients.values())

    def _fingerprint(self, kind: str, value: str) -> str:
        digest = hmac.new(bytes.fromhex(self.key), f"{kind}:{value}".encode(), hashlib.sha256)
        return digest.hexdigest()[:FINGERPRINT]

    def to_json(self) -> str:
        parts = {name: {part: sorted(m) for part, m in getattr(self, name).items()} for name in NAMES}
        return json.dumps({"key": self.key, **parts}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> TrainingSet:
        """Raises ValueError, KeyError, TypeError or AttributeError for another text."""
        value = json.loads(text)
        bytes.fromhex(value["key"])
        parts = ({str(part): frozenset(map(str, m)) for part, m in value[n].items()} for n in NAMES)
        return cls(value["key"], *parts)
