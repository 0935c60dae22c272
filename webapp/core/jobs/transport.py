"""Celery messages as files in one folder: kombu's filesystem transport, made to survive a bad file.

The stock channel opens a message under its final name and dies of an empty or torn one. Here a message is
written under a temporary name and renamed, taken by one rename within the same file system, and set aside in
`unreadable/` when it cannot be read. Nothing is synced to the disk: messages only wake workers.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.encoding import bytes_to_str, str_to_bytes
from kombu.utils.json import dumps, loads

logger = logging.getLogger(__name__)

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, LookupError)


class Channel(filesystem.Channel):
    """One folder, `data_folder_in`, holds every queue's messages as `<time>_<uuid>.<queue>.msg`."""

    supports_fanout = False

    @property
    def folder(self) -> Path:
        return Path(self.data_folder_in)

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]
        name = f"{time.time_ns():020d}_{uuid.uuid4()}.{queue}.msg"
        temporary = self.folder / f".{name}.tmp"
        temporary.write_bytes(str_to_bytes(dumps(payload)))
        temporary.rename(self.folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        """The oldest readable message of `queue`; raises `queue.Empty` when there is none."""
        for name in sorted(os.listdir(self.folder)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = self.folder / f".{name}.taken"
            try:
                (self.folder / name).rename(taken)
            except FileNotFoundError:
                continue  # another worker was quicker
            payload = self._read(taken, name)
            if payload is not None:
                return payload
        raise Empty()

    def _read(self, taken: Path, name: str) -> dict[str, Any] | None:
        try:
            payload: dict[str, Any] = loads(bytes_to_str(taken.read_bytes()))
            self.Message(payload, channel=self)  # type: ignore[no-untyped-call]  # raises on what the consumer could not open either
            payload["properties"]["delivery_info"]["routing_key"]
            taken.unlink()
        except UNREADABLE as error:
            logger.warning("a message cannot be read (%s); set aside as %s", type(error).__name__, name)
            aside = self.folder / "unreadable"
            aside.mkdir(exist_ok=True)
            taken.rename(aside / name)
            return None
        return payload

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Nothing to keep: messages are addressed to their queue by name."""


class Transport(filesystem.Transport):
    Channel = Channel
