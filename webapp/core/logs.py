"""Logs as JSON lines without patient data: one object a line, the request's id on each."""

from __future__ import annotations

import json
import logging
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from webapp.settings.environment import BASE_DIR

request_id: ContextVar[str] = ContextVar("request_id", default="")

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NEVER = {"request", "response", "server_time", "status_code"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON.

    `extra={...}` becomes fields of its own. An exception is logged as its type and frames; its text only
    with `with_exception_text`, since a database's message quotes the row it refused.
    """

    def __init__(self, *, with_exception_text: bool = False) -> None:
        super().__init__()
        self.with_exception_text = with_exception_text

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        line |= {k: v for k, v in vars(record).items() if k not in _STANDARD and k not in _NEVER}
        if record.exc_info and record.exc_info[1]:
            line["exception"] = self._exception(record.exc_info[1])
        return json.dumps(line, default=str)

    def _exception(self, error: BaseException) -> dict[str, Any]:
        frames = [
            f"{_short(frame.filename)}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
        logged: dict[str, Any] = {"type": type(error).__qualname__, "frames": frames}
        if self.with_exception_text:
            logged["text"] = str(error)
        if error.__cause__:
            logged["cause"] = self._exception(error.__cause__)
        return logged


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(BASE_DIR)) if path.is_relative_to(BASE_DIR) else path.name
