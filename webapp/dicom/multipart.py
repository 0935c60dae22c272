"""multipart/related (RFC 2387) as DICOMweb uses it: read as a stream, and written as one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.http import StreamingHttpResponse
from django.utils.http import parse_header_parameters

from webapp.core.errors import CodedError

CHUNK = 1 << 16
HEAD_BYTES = 16 << 10
MOST_PARTS = 2000
BOUNDARY_LENGTH = 200  # RFC 2046 allows 70; Orthanc sends 73


@dataclass(frozen=True)
class Part:
    """One part: its media type, and its bytes, which are read before the next part is."""

    content_type: str
    chunks: Iterator[bytes]


class Reader:
    """The parts of a body that `read` gives piece by piece; only what may begin a boundary is kept."""

    def __init__(self, read: Callable[[int], bytes], boundary: str) -> None:
        self._read = read
        self._mark = b"\r\n--" + boundary.encode("latin-1")
        # The first boundary has no line break of its own before it.
        self._buffer = b"\r\n"
        self._ended = False

    def parts(self) -> Iterator[Part]:
        """Raises CodedError `incomplete` where the body ends early, `invalid` for no multipart body."""
        for _ in self._until_mark():
            pass  # a preamble has no meaning
        count = 0
        while self._goes_on():
            count += 1
            if count > MOST_PARTS:
                raise CodedError("too_large", f"A request has at most {MOST_PARTS} parts.", "Send several.")
            content = self._until_mark()
            yield Part(self._content_type(), content)
            for _ in content:
                pass  # what the caller left

    def _goes_on(self) -> bool:
        """Whether a part follows the boundary, rather than the end."""
        self._fill(2)
        if self._buffer.startswith(b"--"):
            return False
        while b"\r\n" not in self._buffer and len(self._buffer) < HEAD_BYTES:
            self._fill(len(self._buffer) + 1)
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found or line.strip(b" \t"):
            raise invalid("The boundary is not followed by a line break.")
        # An empty head leaves its own line break for the end of the head.
        self._buffer = b"\r\n" + rest
        return True

    def _content_type(self) -> str:
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > HEAD_BYTES:
                raise invalid("The head of a part is too large.")
            self._fill(len(self._buffer) + 1)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        for line in head.decode("latin-1").split("\r\n"):
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-type":
                return parse_header_parameters(value)[0]
        return ""

    def _until_mark(self) -> Iterator[bytes]:
        """The bytes up to the next boundary, which is removed."""
        while (at := self._buffer.find(self._mark)) < 0:
            keep = len(self._mark) - 1
            if len(self._buffer) > keep:
                part, self._buffer = self._buffer[:-keep], self._buffer[-keep:]
                yield part
            self._fill(len(self._buffer) + 1)
        part, self._buffer = self._buffer[:at], self._buffer[at + len(self._mark) :]
        if part:
            yield part

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size:
            data = self._read(CHUNK)
            if not data:
                raise CodedError("incomplete")
            self._buffer += data


def boundary_of(content_type: str) -> str:
    """The boundary of a DICOM multipart body; raises CodedError `unsupported_media_type`."""
    kind, parameters = parse_header_parameters(content_type or "")
    inner = parameters.get("type", "application/dicom").lower()
    boundary = parameters.get("boundary", "")
    if (
        kind != "multipart/related"
        or inner != "application/dicom"
        or not 0 < len(boundary) <= BOUNDARY_LENGTH
    ):
        raise CodedError(
            "unsupported_media_type",
            remedy='Send multipart/related; type="application/dicom"; boundary=… as PS3.18 describes.',
        )
    return boundary


def invalid(message: str) -> CodedError:
    return CodedError("invalid", message, "Send a body as RFC 2046 describes.")


def multipart_response(kind: str, parts: Iterable[tuple[str, str, Iterable[bytes]]]) -> StreamingHttpResponse:
    """A response of parts: the media type, the location and the bytes of each."""
    boundary = secrets.token_hex(16)

    def stream() -> Iterator[bytes]:
        for content_type, location, chunks in parts:
            head = f"--{boundary}\r\nContent-Type: {content_type}\r\nContent-Location: {location}\r\n\r\n"
            yield head.encode()
            yield from chunks
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    return StreamingHttpResponse(
        stream(), content_type=f'multipart/related; type="{kind}"; boundary={boundary}'
    )
