"""Log lines: JSON, with the request's id, without what an exception quotes."""

from __future__ import annotations

import json
import logging
import sys

from webapp.core.logs import JsonFormatter, request_id


def line(*, with_text: bool = False, **extra) -> dict:
    try:
        try:
            raise KeyError("Key (patient_id)=(DOE) exists")
        except KeyError as cause:
            raise ValueError("Doe, Jane") from cause
    except ValueError:
        logger = logging.getLogger("x")
        record = logger.makeRecord(
            "x", logging.ERROR, __file__, 1, "upload %s failed", ("u1",), sys.exc_info(), extra=extra
        )
    text = JsonFormatter(with_exception_text=with_text).format(record)
    assert "\n" not in text
    return json.loads(text)


def test_an_exception_is_reported_without_its_words():
    reported = line()
    assert reported["exception"]["type"] == "ValueError"
    assert reported["exception"]["cause"]["type"] == "KeyError"
    assert reported["exception"]["frames"][0].startswith("tests/webapp/core/test_logs.py:")
    assert "doe" not in json.dumps(reported).lower()


def test_development_sees_the_words():
    assert line(with_text=True)["exception"]["text"] == "Doe, Jane"


def test_a_line_carries_its_fields_and_the_requests_id():
    token = request_id.set("r-1")
    try:
        reported = line(code="too_large")
    finally:
        request_id.reset(token)
    assert (reported["message"], reported["code"], reported["request_id"]) == (
        "upload u1 failed",
        "too_large",
        "r-1",
    )
