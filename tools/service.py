"""One supervised process: log, restarts, stop. Standard library only."""

from __future__ import annotations

import ctypes
import json
import logging
import logging.handlers
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

FIRST_PAUSE, LONGEST_PAUSE, STEADY_SECONDS = 0.5, 30.0, 60.0
LOG_BYTES, LOG_FILES = 5_000_000, 3
LAST_LINES = 15
LOUD = {"WARNING", "ERROR", "CRITICAL"}
PR_SET_PDEATHSIG = 1


class Service:
    """Runs `command` in a session of its own and starts it again, with growing pauses, whenever it ends.

    What it writes goes to `<logs>/<name>.log`, which rotates; the terminal sees warnings, and the last lines
    of a process that ended unasked.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], logs: Path
    ) -> None:
        self.name, self.command, self.environment = name, list(command), environment
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._log = _rotating_log(name, logs)
        self._process: subprocess.Popen[bytes] | None = None
        self._pause, self._started, self._next_start = FIRST_PAUSE, 0.0, 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def watch(self) -> None:
        """Call often: starts the process when it is not running and its pause has passed."""
        now = time.monotonic()
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return
            self._end_group()
            self._process = None
            if now - self._started > STEADY_SECONDS:
                self._pause = FIRST_PAUSE
            self._next_start = now + self._pause
            for line in self._last:
                self._print(line)
            self._report(f"ended ({_describe(status)}); starting again in {self._pause:.1f} s")
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        elif now >= self._next_start:
            self._start()

    def ask_to_stop(self) -> None:
        """Signal the process only: it stops its own helpers, which must not look crashed to it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self, deadline: float) -> None:
        """Wait until `deadline` (monotonic), then kill what is left of the process and its children."""
        if self._process is None:
            return
        try:
            self._process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self._report("did not stop in time and is killed")
        self._end_group()
        self._process.wait()

    def _start(self) -> None:
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            self.command,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        threading.Thread(target=self._relay, args=(self._process.stdout,), daemon=True).start()

    def _relay(self, pipe) -> None:
        with pipe:
            for raw in pipe:
                line = raw.decode(errors="replace").rstrip()
                self._log.info("%s", line)
                warning = _warning(line)
                if warning:
                    self._print(warning)
                else:
                    self._last.append(line)

    def _report(self, line: str) -> None:
        self._log.info("%s", line)
        self._print(line)

    def _print(self, line: str) -> None:
        print(f"{self.name:>7} | {line}", flush=True)

    def _end_group(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # nothing is left of it


def _rotating_log(name: str, folder: Path) -> logging.Logger:
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        folder / f"{name}.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES
    )
    log = logging.Logger(name)
    log.addHandler(handler)
    return log


def _warning(line: str) -> str | None:
    """A structured log line of level WARNING or above, in short; None for any other line."""
    try:
        entry = json.loads(line)
        return f"{entry['level']} {entry['message']}" if entry["level"] in LOUD else None
    except (ValueError, KeyError, TypeError):
        return None


def _die_with_parent() -> None:
    """Linux: when the supervisor is killed, its services get SIGTERM; elsewhere they keep running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _describe(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
