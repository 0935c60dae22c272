"""`python -m classifier ARGUMENT...` in its own process group, its output read line by line."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import select
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

PROGRAM = "classifier"
STOP_SECONDS = 3.0
# The environment variables of the process: no database, no broker, no secret.
PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME",
    "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "XDG_CACHE_HOME", "TORCH_HOME", "MPLCONFIGDIR",
)  # fmt: skip
KEPT_LINES = 200
NUMBERS = (
    "progress", "epoch", "loss", "val_loss", "val_balanced_accuracy", "images_per_second", "size", "minutes",
    "train", "val", "test",
)  # fmt: skip


class InUse(Exception):
    """Another training works in this folder."""


class ClassifierProcess:
    """Context manager: on leaving it nothing of the training is left running.

    `progress`: the latest numbers by name; `curve`: those of each epoch; `log`: its last events, without
    image names; `warnings`: of the data validation, None until then; `artifact`: the path that it reports.
    The `log.jsonl` of an earlier attempt is read first: a killed worker may not have passed on all of it.
    The folder's lock is shared with the training, so it is held as long as either lives.
    """

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self.arguments, self.folder = arguments, folder
        self.curve: list[dict[str, float]] = []
        self.log: list[str] = []
        self.warnings: list[dict] | None = None
        self.progress: dict[str, float] = {}
        self.artifact: Path | None = None
        self._heard, self._open = b"", True
        earlier = folder / "log.jsonl"
        for line in earlier.read_bytes().splitlines() if earlier.exists() else ():
            self._take(line)

    def __enter__(self) -> ClassifierProcess:
        """Raises InUse."""
        with contextlib.ExitStack() as opened:
            lock = opened.enter_context((self.folder / "lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InUse from error
            errors = opened.enter_context(self._errors.open("wb"))
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker.subprocess.parent_watchdog", PROGRAM, *self.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=settings.BASE_DIR,
                env=environment(),
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )
            self._lock = opened.pop_all()
        self._heard_at = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._process.stdin.close()
        self._process.stdout.close()
        self._lock.close()

    @property
    def silent_seconds(self) -> float:
        return time.monotonic() - self._heard_at

    @property
    def _errors(self) -> Path:
        return self.folder / "stderr.log"

    def listen(self, seconds: float) -> int | None:
        """Read its output for up to `seconds`; returns its exit status once it has ended."""
        if not self._open:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(seconds)
            return None
        pipe = self._process.stdout.fileno()
        if not select.select([pipe], [], [], seconds)[0]:
            return self._process.poll()
        chunk = os.read(pipe, 1 << 16)
        self._open = bool(chunk)
        *lines, self._heard = (self._heard + chunk).split(b"\n")
        for line in lines:
            self._take(line)
        return None

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return  # a library's output, not ours
        if not isinstance(event, dict):
            return
        self._heard_at = time.monotonic()
        numbers = {name: event[name] for name in NUMBERS if is_number(event.get(name))}
        self.progress |= numbers
        if isinstance(event.get("warnings"), list):
            self.warnings = [{k: v for k, v in one.items() if k != "examples"} for one in event["warnings"]]
        if event.get("event") == "epoch":
            earlier = [point for point in self.curve if point.get("epoch", 0) < numbers.get("epoch", 0)]
            self.curve = [*earlier, numbers]
        if isinstance(event.get("event"), str):
            self.log = [*self.log, line_of(event["event"], event.get("at"), numbers)][-KEPT_LINES:]
        if event.get("event") == "done":
            self.artifact = Path(event["artifact"])

    def end(self) -> None:
        """End the whole group: SIGTERM first, then SIGKILL."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        # macOS raises PermissionError where only a process that has ended is left of the group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def last_error_line(self) -> str:
        """The last line of its standard error; it may quote the manifest, so it is for deciding only."""
        with self._errors.open("rb") as file:
            file.seek(max(0, self._errors.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def line_of(event: str, at: object, numbers: dict[str, float]) -> str:
    """An event as a line of the log: a name and numbers, nothing that could be of a patient."""
    time_text = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") if is_number(at) else ""
    values = ", ".join(f"{name} {value:.6g}" for name, value in numbers.items())
    return f"{time_text} {event[:40]}{': ' if values else ''}{values}".strip()


def is_number(value: object) -> bool:
    """JSON as Python reads it knows NaN and infinities; databases do not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    own = {"PYTHONPATH": str(settings.BASE_DIR), "PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return kept | own
