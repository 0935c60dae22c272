"""Client of the parsing helper, the confined process that parses untrusted bytes."""

from __future__ import annotations

import json
import os
import secrets
import select
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.archive.listing import Unpacked
from classifier.images.decoded_image import ParseResult
from classifier.images.deidentify.check import refuse_identity
from classifier.images.deidentify.pseudonyms import DeidentifyOptions
from classifier.images.limits import MAX_FILE_BYTES, UNPACK_LIMITS, ArchiveLimits, Limits
from classifier.images.sandbox.response import (
    FILES,
    ORIGINAL,
    Inspection,
    ResourcesExhausted,
    Want,
    checked,
    inspection,
    parse_result,
    unpacked,
)

__all__ = ["HelperFailed", "HelperUnconfined", "ParsingHelper", "ResourcesExhausted"]
from classifier.reasons import RefusalReason

STRICT, DEGRADED = "strict", "degraded"
UNCONFINED = (
    "the parsing helper cannot be confined on this system (open: {}). Confinement needs Linux 5.13 or later "
    "with Landlock and seccomp. HILUM_SANDBOX=degraded runs it all the same, with what the system offers."
)
_ROOT = Path(__file__).resolve().parents[3]
_START_SECONDS, _GRACE_SECONDS = 60.0, 5.0
_SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


class HelperFailed(RuntimeError):
    """The helper could not be started; a later attempt may succeed."""


class HelperUnconfined(HelperFailed):
    """This system cannot confine the helper, and HILUM_SANDBOX does not accept that."""


class ParsingHelper:
    """A preloaded process that parses one file at a time, each in a child with fresh limits.

    It starts on first use, and again after it died or when its owner forked. Threads may share it; their
    requests run one after another. Where the system cannot confine it, it does not start, unless `sandbox`
    (else the environment's HILUM_SANDBOX) is `degraded`; `open_layers` then names what is open.
    """

    module = "classifier.images.sandbox.helper"

    def __init__(self, sandbox: str = "") -> None:
        self.sandbox = sandbox or os.environ.get("HILUM_SANDBOX") or STRICT
        self.open_layers: list[str] = []
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._received = b""

    def __enter__(self) -> ParsingHelper:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the helper now, so that the first file need not wait. Raises HelperFailed."""
        with self._lock:
            self._ensure_running()

    def close(self) -> None:
        with self._lock:
            self._stop()

    def parse(
        self,
        path: Path | str,
        out_dir: Path | str,
        limits: Limits | None = None,
        *,
        stated_slot: Slot | str | None = None,
        deidentify: DeidentifyOptions | None = None,
    ) -> ParseResult:
        """Parse `path`, and write `display.png`, `working.png` and `preview.png` to `out_dir`.

        `stated_slot` (cxr or ct) applies to files without a DICOM header. With `deidentify` the file is
        de-identified first, and the result written as `original`. Raises Refused (ResourcesExhausted where
        the machine may be the cause), HelperFailed, and OSError where the file or `out_dir` is not usable.
        """
        if Path(path).stat().st_size > MAX_FILE_BYTES:
            raise Refused(RefusalReason.TOO_LARGE, f"more than {MAX_FILE_BYTES >> 20} MiB")
        limits, files = limits or Limits(), dict(FILES)
        options: dict[str, Any] = {"stated_slot": Slot(stated_slot).value if stated_slot else None}
        if deidentify is not None:
            options["deidentify"] = deidentify.as_json()
            files[ORIGINAL] = ORIGINAL
        found = self._request(path, out_dir, limits, **options)
        result = parse_result(found, Path(out_dir), files, limits.output_bytes)
        if deidentify is not None:
            refuse_identity(result, deidentify)
        return result

    def unpack(
        self,
        path: Path | str,
        out_dir: Path | str,
        limits: Limits = UNPACK_LIMITS,
        *,
        within: ArchiveLimits | None = None,
    ) -> Unpacked:
        """Unpack the images of a ZIP archive into `out_dir`, an empty folder; it stays empty on any error.

        Raises Refused with a key of `listing.ARCHIVE_ADVICE` as its detail, and otherwise as `parse` does.
        """
        try:
            within = within or ArchiveLimits()
            found = self._request(path, out_dir, limits, within=asdict(within))
            return unpacked(found, Path(out_dir), within)
        except BaseException:
            for file in Path(out_dir).glob("*"):
                file.unlink()
            raise

    def inspect(
        self,
        path: Path | str,
        out_dir: Path | str,
        want: Want,
        limits: Limits | None = None,
        **options: object,
    ) -> Inspection:
        """What `want` names of a DICOM file (`dicom.instance`); its content is written to `out_dir`.

        Raises as `parse` does.
        """
        limits = limits or Limits()
        found = self._request(path, out_dir, limits, want=want.value, options=options)
        return inspection(found, Path(out_dir), limits.output_bytes)

    def _request(self, path: Path | str, out_dir: Path | str, limits: Limits, **options: object) -> Any:
        """The helper's result for one file, to be checked; raises as `parse` does."""
        paths = {"path": str(Path(path).resolve()), "out_dir": str(Path(out_dir).resolve())}
        request = {**paths, **options, "limits": asdict(limits), "nonce": secrets.token_hex(16)}
        with self._lock:
            response = self._exchange(request, limits.wall_seconds + _GRACE_SECONDS)
        return checked(response)

    def _exchange(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request and receive the response; a helper that died between two files is replaced once."""
        for attempt in (1, 2):
            self._ensure_running()
            try:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
                response = self._receive(seconds)
                if response.get("nonce") != request["nonce"]:
                    raise EOFError("this is the response to another request")
                return response
            except TimeoutError:
                self._stop()
                raise ResourcesExhausted("parsing took too long") from None
            except (BrokenPipeError, EOFError, ValueError) as error:
                self._stop()
                if attempt == 2:
                    raise ResourcesExhausted("the parsing helper crashed on this file") from error
        raise AssertionError("unreachable")

    def _ensure_running(self) -> None:
        if self._owner == os.getpid() and self._process is not None and self._process.poll() is None:
            return
        self._stop()
        self._received = b""
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.module, STRICT if self.sandbox != DEGRADED else DEGRADED],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env={"PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8", "PATH": os.defpath, **_SINGLE_THREADED},
            start_new_session=True,
        )
        try:
            self.open_layers = self._receive(_START_SECONDS)["open"]
        except (EOFError, TimeoutError, ValueError) as error:
            self._stop()
            raise HelperFailed("the parsing helper does not start") from error
        if self.open_layers and self.sandbox != DEGRADED:
            self._stop()
            raise HelperUnconfined(UNCONFINED.format(", ".join(self.open_layers)))

    def _receive(self, seconds: float) -> dict[str, Any]:
        """The next line from the helper. Raises TimeoutError, and EOFError when it has died."""
        pipe, deadline = self._process.stdout.fileno(), time.monotonic() + seconds
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                raise TimeoutError
            chunk = os.read(pipe, 1 << 16)
            if not chunk:
                raise EOFError
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        response = json.loads(line)
        return response if isinstance(response, dict) else {}

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            stream.close()
        if self._owner == os.getpid():
            process.kill()
            process.wait()
