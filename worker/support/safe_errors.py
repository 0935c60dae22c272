"""Errors in words that are safe to log."""

from __future__ import annotations

import traceback


def describe(error: BaseException) -> str:
    """Type and places of an error without its message, which may quote patient data."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in reversed(frames))
    cause = f" from {type(error.__cause__).__name__}" if error.__cause__ else ""
    return f"{type(error).__name__}{cause} at {places}"
