"""The parsing helper: `python -m classifier.images.sandbox.helper`, a JSON line in, a JSON line out.

It loads the decoders once and forks a child with fresh limits for every file; it holds no secret but the key
of a request to remove identity, no database and no model. Request: {"path", "out_dir", "claimed", "limits"},
with {"removal": Removal} to remove identity before anything is read; answer: {"ok": ParseResult}
or {"refused": reason, "detail"}, or where the file need not be to blame {"gave_out": detail} or
{"failed": [errno, message]}. With {"within": ArchiveLimits} an archive is unpacked instead: {"ok": Unpacked}.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from classifier.contract import RefusalReason, Slot
from classifier.errors import Refused
from classifier.images.archive import unpack
from classifier.images.deidentify.pseudonyms import Removal
from classifier.images.limits import ArchiveLimits, Limits
from classifier.images.sandbox import confinement

FILES = {"display": "display.png", "working": "working.png", "preview": "preview.png"}
ORIGINAL = "original"
_CHUNK = 1 << 16


def main() -> None:
    confinement.forbid_network_and_privileges()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Decoders written in C print what they like; only answers may reach the client.
    os.dup2(2, 1)
    _preload()
    _say(answers, {"ready": os.getpid()})
    for line in sys.stdin:
        _say(answers, _answer(json.loads(line)))


def _say(answers: Any, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message, allow_nan=False) + "\n")
    answers.flush()


def _preload() -> None:
    """Load every decoder now, so that a fork costs milliseconds."""
    import imagecodecs
    from PIL import JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin
    from pydicom.pixels.decoders import base
    from pydicom.uid import AllTransferSyntaxes

    from classifier.images import reading  # noqa: F401

    for syntax in AllTransferSyntaxes:
        if syntax.is_encapsulated and syntax in base._PIXEL_DATA_DECODERS:
            base.get_decoder(syntax).is_available  # noqa: B018
    imagecodecs.png_decode, imagecodecs.png_encode, imagecodecs.jpeg_decode  # noqa: B018
    imagecodecs.jpegls_decode, imagecodecs.tiff_decode  # noqa: B018
    JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: B018


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    limits = Limits(**request["limits"])
    reading_end, writing_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading_end)
        _child(request, limits, writing_end)
    os.close(writing_end)
    try:
        said, in_time = _listen(reading_end, limits.wall_seconds)
    finally:
        os.close(reading_end)
        if not said:
            _kill(pid)
        _, status = os.waitpid(pid, 0)
    return _judged(said, in_time, status)


def _child(request: dict[str, Any], limits: Limits, writing_end: int) -> None:
    code = 1
    try:
        confinement.limit(limits)
        os.close(0)
        message = json.dumps(_parsed(request), allow_nan=False).encode()
        while message:
            message = message[os.write(writing_end, message) :]
        code = 0
    finally:
        os._exit(code)


def _parsed(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"ok": _unpacked(request) if "within" in request else _read(request)}
    except Refused as refused:
        return {"refused": refused.reason.value, "detail": refused.detail}
    except MemoryError:
        return {"refused": RefusalReason.TOO_LARGE.value, "detail": "needs too much memory"}
    except OSError as error:
        if error.errno == errno.EFBIG:
            return {"refused": RefusalReason.TOO_LARGE.value, "detail": "writes too large a file"}
        return {"failed": [error.errno, error.strerror]}
    except Exception as error:
        return {"refused": RefusalReason.UNDECODABLE.value, "detail": f"unexpected {type(error).__name__}"}


def _read(request: dict[str, Any]) -> dict[str, Any]:
    from classifier.images.deidentify.files import without_identity
    from classifier.images.raster.png import write_grey
    from classifier.images.reading import read

    claimed, path, folder = request.get("claimed"), request["path"], Path(request["out_dir"])
    files = dict(FILES)
    if "removal" in request:
        # Whatever is read and answered from here on is of the file without identity.
        path, files["original"] = folder / ORIGINAL, ORIGINAL
        path.write_bytes(without_identity(request["path"], Removal.from_json(request["removal"])))
    image = read(path, Slot(claimed) if claimed else None)
    for name, file in FILES.items():
        write_grey(folder / file, getattr(image, name))
    return image.facts() | {"files": files}


def _unpacked(request: dict[str, Any]) -> dict[str, Any]:
    return unpack(request["path"], request["out_dir"], ArchiveLimits(**request["within"])).as_json()


def _listen(pipe: int, seconds: float) -> tuple[bytes, bool]:
    """All that the child says until it closes the pipe, and whether it did so in time."""
    said, deadline = bytearray(), time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return b"", False
        chunk = os.read(pipe, _CHUNK)
        if not chunk:
            return bytes(said), True
        said += chunk


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _judged(said: bytes, in_time: bool, status: int) -> dict[str, Any]:
    if in_time and os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
        return json.loads(said)
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if not in_time or ended_by == signal.SIGXCPU:
        return {"gave_out": "took too long to read"}
    if ended_by in (None, signal.SIGKILL):
        return {"gave_out": "was ended before it was read"}
    return {"refused": RefusalReason.UNDECODABLE.value, "detail": "the decoder crashed"}


if __name__ == "__main__":
    main()
