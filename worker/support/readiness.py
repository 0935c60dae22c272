"""A file for each job runner by which the supervisor on this host sees that it is ready."""

from __future__ import annotations

import json
import os
from pathlib import Path

from django.conf import settings


class ReadinessFile:
    """`run/<job>-<node>.json` in the data folder: {"state": "starting" or "ready", "pid"}."""

    def __init__(self, job: str, node: str) -> None:
        self.path = Path(settings.HILUM_DATA) / "run" / f"{job}-{node}.json"
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, state: str) -> None:
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps({"state": state, "pid": os.getpid()}))
        temporary.rename(self.path)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
