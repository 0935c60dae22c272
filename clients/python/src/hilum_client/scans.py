"""A scan as the API returns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

FINISHED = frozenset({"refused", "upload_failed", "failed", "waiting", "abstained", "done"})


@dataclass(frozen=True)
class Scan:
    """A scan, or the upload that is still to become one; `data` is the whole response.

    `finding` is None where none is above its threshold. `probabilities` are there for a `withheld` result
    too: the model abstained, and `reason` is why.
    """

    id: str
    status: str
    reason: str | None
    detail: str | None
    remedy: str | None
    data: dict[str, Any]

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        named = {name: data[name] for name in ("id", "status", "reason", "detail", "remedy")}
        return cls(**named, data=data)

    @property
    def finished(self) -> bool:
        """Whether the status is final unless somebody acts; `waiting` ends when a model is promoted."""
        return self.status in FINISHED

    @property
    def analysis(self) -> dict[str, Any] | None:
        """The current analysis: the newest finished one, else the newest."""
        analyses = self.data["analyses"]
        done = (one for one in analyses if one["status"] in ("done", "abstained"))
        return next(done, analyses[0] if analyses else None)

    @property
    def finding(self) -> str | None:
        return self.analysis["finding"] if self.analysis else None

    @property
    def probabilities(self) -> dict[str, float]:
        return (self.analysis["probabilities"] if self.analysis else None) or {}

    @property
    def withheld(self) -> bool:
        return bool(self.analysis and self.analysis["withheld"])
