"""Errors: an error response, or none at all."""

from __future__ import annotations

from typing import Any


class HilumError(Exception):
    """An error response (RFC 9457). `code` is stable; `remedy` is what to do; `problem` the whole body."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code: str = problem.get("code", f"http_{status}")
        self.detail: str = problem.get("detail", "")
        self.remedy: str = problem.get("remedy", "")
        self.request_id: str = problem.get("request_id", "")
        super().__init__(" ".join(part for part in (f"{self.code}:", self.detail, self.remedy) if part))


class Unreachable(Exception):
    """No response, after retries."""
