"""What a confined child returned, of which nothing is believed: it may have been taken over by its file."""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.archive.listing import Skip, Unpacked
from classifier.images.decoded_image import ImageFacts, ParseResult
from classifier.images.limits import MAX_SIDE, ArchiveLimits
from classifier.reasons import RefusalReason

FILES = {"display": "display.png", "working": "working.png", "preview": "preview.png"}
ORIGINAL, CONTENT = "original", "content"
MAX_DETAIL, MAX_NAME, MAX_TEXT = 200, 1_000, 64 << 10
MAX_VALUES, MAX_DEPTH = 10_000, 8
IMAGES = {"display": (16, None), "working": (16, 1024), "preview": (8, 1024)}
_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
_HEAD_BYTES = len(_PNG) + 13
# Trouble of the disk or the machine that parsing reports by number.
_REPORTABLE = {
    errno.EPERM, errno.ENOENT, errno.EIO, errno.EACCES, errno.ENOTDIR, errno.EISDIR, errno.EINVAL,
    errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EBUSY, errno.EEXIST,
}  # fmt: skip


class ResourcesExhausted(Refused):
    """Time or memory ran out: undecodable here and now, but another attempt may succeed."""

    def __init__(self, detail: str) -> None:
        super().__init__(RefusalReason.UNDECODABLE, detail)


def checked(response: Mapping[str, Any]) -> Any:
    """The value of `ok`; raises what a response of any other kind stands for, and Refused for none at all."""
    if "failed" in response:
        match response["failed"]:
            case [int(number), *_] if number in _REPORTABLE:
                raise OSError(number, os.strerror(number))
        _reject()
    if "exhausted" in response:
        raise ResourcesExhausted(_detail(response["exhausted"]))
    if "refused" in response:
        if response["refused"] not in list(RefusalReason):
            _reject()
        raise Refused(RefusalReason(response["refused"]), _detail(response.get("detail")))
    return response.get("ok")


def parse_result(raw: Any, folder: Path, files: Mapping[str, str], most_bytes: int) -> ParseResult:
    """The facts of an image whose `files` are in `folder`; raises Refused for anything unexpected."""
    _require(isinstance(raw, dict))
    wanted = {field.name for field in fields(ParseResult)}
    optional = {f.name for f in fields(ImageFacts) if f.default_factory is not MISSING or f.default == ""}
    _require(wanted - optional <= set(raw) <= wanted and raw["files"] == dict(files))
    for name in ("rows", "columns"):
        _require(_whole(raw[name]) and 1 <= raw[name] <= MAX_SIDE)
    for name in ("synthetic", "polarity_turned"):
        _require(isinstance(raw[name], bool))
    for name in ("slope", "intercept", "window_center", "window_width"):
        _require(_number(raw[name]))
    _require(raw["slot"] in list(Slot))
    digest = raw["pixel_sha256"]
    _require(isinstance(digest, str) and len(digest) == 64 and set(digest) <= set("0123456789abcdef"))
    _require(raw.get("burned_in", "") in ("", "declared", "suspected"))
    for name in ("notes", "metadata"):
        _require(isinstance(raw.get(name, {}), dict) and _plain(raw.get(name, {}), [MAX_VALUES]))
    for kind, name in files.items():
        with open_regular(folder / name, most_bytes) as file:
            if kind in IMAGES:
                _check_png(file.read(_HEAD_BYTES), kind, raw["rows"], raw["columns"])
    return ParseResult.from_json(raw)


def unpacked(raw: Any, folder: Path, within: ArchiveLimits) -> Unpacked:
    """The members of an archive, each a file in `folder`; raises Refused for anything unexpected."""
    _require(isinstance(raw, dict) and set(raw) == {"members", "skipped"})
    _require(isinstance(raw["members"], list) and len(raw["members"]) <= within.images)
    for member in raw["members"]:
        _require(isinstance(member, dict) and set(member) == {"name", "file", "size"})
        _require(_text(member["name"], MAX_NAME) and _text(member["file"], 10))
        _require(member["file"].isascii() and member["file"].isdecimal() and _whole(member["size"]))
        with open_regular(folder / member["file"], within.member_bytes) as file:
            _require(os.fstat(file.fileno()).st_size == member["size"])
    _require(len({member["file"] for member in raw["members"]}) == len(raw["members"]))
    _require(isinstance(raw["skipped"], list) and len(raw["skipped"]) <= len(Skip))
    for skipped in raw["skipped"]:
        _require(isinstance(skipped, dict) and set(skipped) == {"reason", "count", "names"})
        _require(skipped["reason"] in list(Skip) and _whole(skipped["count"]))
        _require(isinstance(skipped["names"], list) and len(skipped["names"]) <= within.entries)
        _require(all(_text(name, MAX_NAME) for name in skipped["names"]))
    return Unpacked.from_json(raw)


class Want(StrEnum):
    """A part of a DICOM file: its UIDs, its metadata as JSON, a frame, the value of one element."""

    IDENTITY = "identity"
    METADATA = "metadata"
    FRAME = "frame"
    BULK = "bulk"


@dataclass(frozen=True)
class Inspection:
    """Facts of a DICOM file, and the content that was asked for; empty without one."""

    facts: dict[str, str]
    content: bytes


def inspection(raw: Any, folder: Path, most_bytes: int) -> Inspection:
    """The parts of a DICOM file; raises Refused for anything unexpected."""
    _require(isinstance(raw, dict) and len(raw) <= MAX_DEPTH)
    _require(all(_text(name, MAX_DETAIL) and _text(value, MAX_DETAIL) for name, value in raw.items()))
    if not (folder / CONTENT).is_symlink() and not (folder / CONTENT).exists():
        return Inspection(raw, b"")
    with open_regular(folder / CONTENT, most_bytes) as file:
        return Inspection(raw, file.read())


def open_regular(path: Path, most_bytes: int) -> BinaryIO:
    """Open a file of the child: no link, no device, no second name; raises Refused."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        _reject()
    found = os.fstat(handle)
    if not (stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_size <= most_bytes):
        os.close(handle)
        _reject()
    return os.fdopen(handle, "rb")


def _check_png(head: bytes, kind: str, rows: int, columns: int) -> None:
    """A gray PNG of the expected depth, and of the image's size where it is not a smaller copy."""
    depth, longest = IMAGES[kind]
    _require(len(head) == _HEAD_BYTES and head.startswith(_PNG))
    width, height = (int.from_bytes(head[at : at + 4], "big") for at in (16, 20))
    _require((head[24], head[25]) == (depth, 0))
    if longest is None:
        _require((height, width) == (rows, columns))
    else:
        _require(min(height, width) >= 1 and max(height, width) <= longest)


def _detail(text: Any) -> str:
    return text[:MAX_DETAIL] if isinstance(text, str) else ""


def _text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(value: Any, left: list[int], depth: int = 0) -> bool:
    """Short, shallow JSON; `left` is how many values may still come."""
    left[0] -= 1
    if depth > MAX_DEPTH or left[0] < 0:
        return False
    if isinstance(value, dict):
        return all(_text(key, MAX_DETAIL) and _plain(one, left, depth + 1) for key, one in value.items())
    if isinstance(value, list):
        return all(_plain(one, left, depth + 1) for one in value)
    return value is None or isinstance(value, bool) or _text(value, MAX_TEXT) or _number(value)


def _require(condition: bool) -> None:
    if not condition:
        _reject()


def _reject() -> NoReturn:
    raise Refused(RefusalReason.UNDECODABLE, "the decoder returned an invalid result")
