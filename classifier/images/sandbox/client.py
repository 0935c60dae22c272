"""The client of the parsing helper: untrusted bytes are parsed in a limited process, never in ours."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from classifier.contract import RefusalReason, Slot
from classifier.errors import Refused
from classifier.images.archive_listing import Unpacked
from classifier.images.decoded_image import ParseResult
from classifier.images.deidentify.pseudonyms import Removal
from classifier.images.limits import MAX_FILE_BYTES, UNPACK_LIMITS, ArchiveLimits, Limits
from classifier.images.raster.png import read_working

__all__ = ["GaveOut", "HelperFailed", "ParsingHelper", "read_working"]

_ROOT = Path(__file__).resolve().parents[3]
_START_SECONDS, _GRACE_SECONDS = 60.0, 5.0
_SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


class HelperFailed(RuntimeError):
    """The helper could not be started; try again later."""


class GaveOut(Refused):
    """No answer in the time and memory that there were: undecodable here and now, perhaps not elsewhere."""

    def __init__(self, detail: str) -> None:
        super().__init__(RefusalReason.UNDECODABLE, detail)


class ParsingHelper:
    """A preloaded process that parses one file at a time, each in a fork with fresh limits.

    Starts on first use, again after it died, and again in a process that was forked from its owner's.
    Safe to call from several threads; requests wait for each other.
    """

    module = "classifier.images.sandbox.helper"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._heard = b""

    def __enter__(self) -> ParsingHelper:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the helper now, so that the first file does not wait for it. Raises HelperFailed."""
        with self._lock:
            self._ensure()

    def close(self) -> None:
        with self._lock:
            self._stop()

    def parse(
        self,
        path: Path | str,
        out_dir: Path | str,
        limits: Limits | None = None,
        *,
        claimed: Slot | str | None = None,
        removal: Removal | None = None,
    ) -> ParseResult:
        """Parse `path`; `display.png`, `working.png` and `preview.png` come to lie in `out_dir`.

        `claimed` (cxr or ct) routes PNG and JPEG files. With `removal` identity is removed before anything
        is read: the file without it comes to lie there too, as `original`. Raises Refused, as GaveOut
        where the machine may be to blame; OSError where the file cannot be read or `out_dir` written;
        HelperFailed.
        """
        if Path(path).stat().st_size > MAX_FILE_BYTES:
            raise Refused(RefusalReason.TOO_LARGE, f"more than {MAX_FILE_BYTES >> 20} MiB")
        said = {"claimed": Slot(claimed).value if claimed else None}
        if removal is not None:
            said["removal"] = removal.as_json()
        return ParseResult.from_json(self._answer(path, out_dir, limits or Limits(), **said))

    def unpack(
        self,
        path: Path | str,
        out_dir: Path | str,
        limits: Limits = UNPACK_LIMITS,
        *,
        within: ArchiveLimits | None = None,
    ) -> Unpacked:
        """Unpack the images of a ZIP archive into `out_dir`, an empty folder, which stays so on any error.

        Raises Refused with a key of `listing.ARCHIVE_ADVICE` as its detail, and otherwise as `parse` does.
        """
        try:
            within = asdict(within or ArchiveLimits())
            return Unpacked.from_json(self._answer(path, out_dir, limits, within=within))
        except BaseException:
            for left in Path(out_dir).glob("*"):
                left.unlink()
            raise

    def _answer(
        self, path: Path | str, out_dir: Path | str, limits: Limits, **said: object
    ) -> dict[str, Any]:
        """What the helper says of one file; raises what `parse` raises."""
        paths = {"path": str(Path(path).resolve()), "out_dir": str(Path(out_dir).resolve())}
        with self._lock:
            answer = self._ask(
                {**paths, **said, "limits": asdict(limits)}, limits.wall_seconds + _GRACE_SECONDS
            )
        if "failed" in answer:
            raise OSError(*answer["failed"])
        if "gave_out" in answer:
            raise GaveOut(answer["gave_out"])
        if "refused" in answer:
            raise Refused(RefusalReason(answer["refused"]), answer["detail"])
        return answer["ok"]

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """One request; a helper that died between two files is replaced, once."""
        for attempt in (1, 2):
            self._ensure()
            try:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
                return self._hear(seconds)
            except TimeoutError:
                self._stop()
                raise GaveOut("took too long to read") from None
            except (BrokenPipeError, EOFError, ValueError) as error:
                self._stop()
                if attempt == 2:
                    raise GaveOut("the parsing helper died of it") from error
        raise AssertionError("unreachable")

    def _ensure(self) -> None:
        if self._owner == os.getpid() and self._process is not None and self._process.poll() is None:
            return
        self._stop()
        self._heard = b""
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env=_scrubbed_environment(),
            start_new_session=True,
        )
        try:
            self._hear(_START_SECONDS)
        except (EOFError, TimeoutError, ValueError) as error:
            self._stop()
            raise HelperFailed("the parsing helper does not start") from error

    def _hear(self, seconds: float) -> dict[str, Any]:
        """The next line of the helper. Raises TimeoutError, EOFError when it has died."""
        pipe, deadline = self._process.stdout.fileno(), time.monotonic() + seconds
        while b"\n" not in self._heard:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                raise TimeoutError
            chunk = os.read(pipe, 1 << 16)
            if not chunk:
                raise EOFError
            self._heard += chunk
        line, _, self._heard = self._heard.partition(b"\n")
        return json.loads(line)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            stream.close()
        if self._owner == os.getpid():
            process.kill()
            process.wait()


def _scrubbed_environment() -> dict[str, str]:
    return {"PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8", "PATH": os.defpath, **_SINGLE_THREADED}
