"""Secrets under a passphrase: scrypt (RFC 7914) makes the key, AES-256-GCM seals."""

from __future__ import annotations

import base64
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from webapp.backup.errors import BackupError

# 128 MiB and about half a second for each guess.
COST, BLOCK, LANES = 1 << 17, 8, 1
HEAD = b"hilum backup secrets 1"


def seal(secrets: dict[str, str], passphrase: str) -> bytes:
    """The secrets as JSON text that only the passphrase opens."""
    salt, nonce = os.urandom(16), os.urandom(12)
    sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, json.dumps(secrets).encode(), HEAD)
    parts = {"salt": salt, "nonce": nonce, "sealed": sealed}
    return json.dumps({name: base64.b64encode(part).decode() for name, part in parts.items()}).encode()


def unseal(content: bytes, passphrase: str) -> dict[str, str]:
    """Raises BackupError `passphrase_wrong`, or `backup_damaged` for what `seal` did not write."""
    try:
        parts = json.loads(content)
        salt, nonce, sealed = (base64.b64decode(parts[name]) for name in ("salt", "nonce", "sealed"))
        opened = AESGCM(_key(passphrase, salt)).decrypt(nonce, sealed, HEAD)
    except InvalidTag as error:
        raise BackupError("passphrase_wrong") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError("backup_damaged", "The sealed secrets cannot be read.") from error
    secrets: dict[str, str] = json.loads(opened)
    return secrets


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=COST, r=BLOCK, p=LANES).derive(passphrase.encode())
