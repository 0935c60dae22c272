"""The parsing helper: `python -m classifier.images.sandbox.helper strict|degraded`, one line of JSON in, one
line of JSON out.

It loads the decoders once and forks a confined child for every file. It has no database, no model and no
secret except the key in a de-identification request.

Request: {"nonce", "path", "out_dir", "limits", "stated_slot"}, with "deidentify" (DeidentifyOptions) to
de-identify the file first; or, to unpack an archive, {"nonce", "path", "out_dir", "limits", "within":
ArchiveLimits}; or, for parts of a DICOM file, {"nonce", "path", "out_dir", "limits", "want", "options"}
(`dicom.instance`). Response: the nonce with {"ok": ParseResult, Unpacked or facts} or {"refused": reason,
"detail"}; where the file may not be the cause, {"exhausted": detail} or {"failed": [errno, message]}. What
the child returned is passed on as it came: the client believes none of it (`response.py`).
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.archive.unpack import unpack
from classifier.images.deidentify.pseudonyms import DeidentifyOptions
from classifier.images.dicom.instance import inspect
from classifier.images.limits import ArchiveLimits, Limits
from classifier.images.sandbox import confinement
from classifier.images.sandbox.response import FILES, ORIGINAL
from classifier.reasons import RefusalReason

CRASHED = {"refused": RefusalReason.UNDECODABLE.value, "detail": "the decoder crashed"}
STRICT, DEGRADED = "strict", "degraded"
MAX_RESPONSE_BYTES = 16 << 20
_CHUNK = 1 << 16
# How many descendants that outlived their file are ended at once; seccomp allows none.
_MOST_LEFT = 1000


def main() -> None:
    strict = sys.argv[1:] != [DEGRADED]
    confinement.forbid_network_and_privileges()
    responses = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Decoders written in C may print to stdout; only responses may reach the client.
    os.dup2(2, 1)
    _preload()
    with tempfile.TemporaryDirectory() as folder:
        layers = confinement.open_layers(Path(folder), Path("/proc/self/environ"))
    _send(responses, {"ready": os.getpid(), "open": layers})
    for line in sys.stdin:
        request = json.loads(line)
        response = _handle(request, strict=strict)
        _end_descendants()
        _send(responses, response | {"nonce": request["nonce"]})


def _send(responses: Any, message: dict[str, Any]) -> None:
    responses.write(json.dumps(message, allow_nan=False) + "\n")
    responses.flush()


def _preload() -> None:
    """Load every decoder now, so that a fork costs milliseconds."""
    import charset_normalizer  # noqa: F401
    import imagecodecs
    from PIL import JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin
    from pydicom.pixels.decoders import base
    from pydicom.uid import AllTransferSyntaxes

    from classifier.images.read import read_image  # noqa: F401

    for syntax in AllTransferSyntaxes:
        if syntax.is_encapsulated and syntax in base._PIXEL_DATA_DECODERS:
            base.get_decoder(syntax).is_available  # noqa: B018
    imagecodecs.png_decode, imagecodecs.png_encode, imagecodecs.jpeg_decode  # noqa: B018
    imagecodecs.jpegls_decode, imagecodecs.tiff_decode  # noqa: B018
    JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: B018


def _handle(request: dict[str, Any], *, strict: bool = True) -> dict[str, Any]:
    limits = Limits(**request["limits"])
    reading_end, writing_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(request, limits, writing_end, strict)
    os.close(writing_end)
    try:
        output, in_time = _receive(reading_end, limits.wall_seconds)
    finally:
        os.close(reading_end)
        if not output:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return _response(output, in_time, status)


def _end_descendants() -> None:
    """End what a child left running: nothing may outlive the file that started it."""
    for _ in range(_MOST_LEFT):
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                for left in Path("/proc/self/task", str(os.getpid()), "children").read_text().split():
                    os.kill(int(left), signal.SIGKILL)
        except OSError:
            return


def _child(request: dict[str, Any], limits: Limits, writing_end: int, strict: bool) -> None:
    code = 1
    try:
        confinement.close_all_but(writing_end)
        confinement.limit(limits)
        read, write = [Path(request["path"])], [Path(request["out_dir"])]
        confinement.confine(read=read, write=write, strict=strict)
        message = json.dumps(_parse(request), allow_nan=False).encode()
        while message:
            message = message[os.write(writing_end, message) :]
        code = 0
    finally:
        os._exit(code)


def _parse(request: dict[str, Any]) -> dict[str, Any]:
    try:
        if "want" in request:
            return {"ok": inspect(request["path"], request["out_dir"], request["want"], request["options"])}
        if "within" not in request:
            return {"ok": _read(request)}
        limits = ArchiveLimits(**request["within"])
        return {"ok": unpack(request["path"], request["out_dir"], limits).as_json()}
    except Refused as refused:
        return {"refused": refused.reason.value, "detail": refused.detail}
    except MemoryError:
        return {"refused": RefusalReason.TOO_LARGE.value, "detail": "parsing needs too much memory"}
    except OSError as error:
        if error.errno == errno.EFBIG:
            return {"refused": RefusalReason.TOO_LARGE.value, "detail": "the decoded image is too large"}
        return {"failed": [error.errno, error.strerror]}
    except Exception as error:
        return {"refused": RefusalReason.UNDECODABLE.value, "detail": f"unexpected {type(error).__name__}"}


def _read(request: dict[str, Any]) -> dict[str, Any]:
    from classifier.images.deidentify.files import deidentify_file
    from classifier.images.raster.png import write_grey
    from classifier.images.read import read_image

    stated_slot, path, folder = request.get("stated_slot"), request["path"], Path(request["out_dir"])
    files = dict(FILES)
    if "deidentify" in request:
        # From here on, everything is read from the de-identified file.
        path, files["original"] = folder / ORIGINAL, ORIGINAL
        path.write_bytes(deidentify_file(request["path"], DeidentifyOptions.from_json(request["deidentify"])))
    image = read_image(path, Slot(stated_slot) if stated_slot else None)
    for name, file in FILES.items():
        write_grey(folder / file, getattr(image, name))
    return image.as_json() | {"files": files}


def _receive(pipe: int, seconds: float) -> tuple[bytes, bool]:
    """The output of the child, empty if it did not close the pipe in time; and whether it did."""
    output, deadline = bytearray(), time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return b"", False
        chunk = os.read(pipe, _CHUNK)
        if not chunk:
            return bytes(output), True
        output += chunk
        if len(output) > MAX_RESPONSE_BYTES:
            return b"", True


def _response(output: bytes, in_time: bool, status: int) -> dict[str, Any]:
    if in_time and os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
        return _object(output)
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if not in_time or ended_by == signal.SIGXCPU:
        return {"exhausted": "parsing took too long"}
    if ended_by in (None, signal.SIGKILL):
        return {"exhausted": "parsing was killed"}
    return dict(CRASHED)


def _object(output: bytes) -> dict[str, Any]:
    """The child's JSON object, however hostile; the nonce is added to it later and cannot be its own."""
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else dict(CRASHED)


if __name__ == "__main__":
    main()
