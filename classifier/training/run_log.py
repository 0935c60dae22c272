"""The log of a training run: JSON lines in a file, and progress on the terminal."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm


class RunLog:
    """Writes events to `path`, to standard output with `machine`, else to standard error unless a terminal.

    `silent`: another process of the same run writes the log.
    """

    def __init__(self, path: Path | None = None, *, machine: bool = False, silent: bool = False) -> None:
        self.path, self.machine, self.silent = path, machine, silent

    def note(self, event: str, **facts: Any) -> None:
        if self.silent:
            return
        line = json.dumps({"event": event, "at": round(time.time(), 1), **facts})
        if self.path:
            with self.path.open("a") as file:
                file.write(line + "\n")
        if self.machine:
            print(line, flush=True)
        elif not sys.stderr.isatty():
            print(line, file=sys.stderr, flush=True)

    def bar(self, title: str, total: int) -> tqdm:
        """A progress bar, shown on a terminal only."""
        return tqdm(total=total, desc=title, unit="img", disable=self.machine or self.silent or None)

    def events(self, event: str) -> list[dict[str, Any]]:
        """The noted events of that name, those of an interrupted run's earlier part included."""
        text = self.path.read_text() if self.path and self.path.exists() else ""
        return [line for line in map(json.loads, text.splitlines()) if line["event"] == event]
