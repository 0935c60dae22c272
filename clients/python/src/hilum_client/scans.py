"""A scan as the API tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

FINISHED = frozenset({"refused", "upload_failed", "failed", "waiting", "abstained", "done"})


@dataclass(frozen=True)
class Scan:
    """A scan, or the upload that is still to become one; `answer` is the whole answer of the API.

    `finding` is None where none is above its threshold. `probabilities` of an answer that is `withheld` are
    there all the same: the model gave a `reason` not to be believed.
    """

    id: str
    status: str
    reason: str | None
    detail: str | None
    remedy: str | None
    answer: dict[str, Any]

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Self:
        named = {name: answer[name] for name in ("id", "status", "reason", "detail", "remedy")}
        return cls(**named, answer=answer)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen by itself; `waiting` ends when somebody promotes a model."""
        return self.status in FINISHED

    @property
    def analysis(self) -> dict[str, Any] | None:
        """The analysis that speaks for the scan: its newest finished one, else its newest."""
        analyses = self.answer["analyses"]
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
