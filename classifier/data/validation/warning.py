"""A warning of the data validation, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from classifier.data.manifest import Row
    from classifier.data.validation.image_statistics import ImageStatistics


class Severity(StrEnum):
    """HIGH: measures will mislead; MEDIUM: they may; LOW: worth knowing."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True)
class Warning_:
    """`text` states the problem, `advice` the remedy; `examples` names images, for admins only."""

    code: str
    severity: Severity
    text: str
    advice: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    examples: Sequence[str] = ()

    def as_dict(self, *, examples: bool = False) -> dict[str, Any]:
        facts = {name: getattr(self, name) for name in ("code", "text", "advice")}
        named = {"examples": list(self.examples)} if examples and self.examples else {}
        return {"severity": str(self.severity), **facts, "numbers": dict(self.numbers), **named}


@dataclass(frozen=True)
class Collection:
    """A manifest's rows with the statistics of their images, as arrays; unknown values are empty strings."""

    rows: Sequence[Row]
    statistics: ImageStatistics
    finding: np.ndarray
    source: np.ndarray
    patient: np.ndarray
    part: np.ndarray
    view: np.ndarray
    sex: np.ndarray
    age: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Row], statistics: ImageStatistics) -> Collection:
        def column(value: Any) -> np.ndarray:
            return np.array([value(row) for row in rows])

        return cls(
            rows,
            statistics,
            finding=column(lambda row: "|".join(row.findings or ())),
            source=column(lambda row: row.source),
            patient=column(lambda row: row.patient),
            part=column(lambda row: row.split or ""),
            view=column(lambda row: row.view),
            sex=column(lambda row: row.sex),
            age=column(lambda row: np.nan if row.age is None else row.age),
        )

    @property
    def sources(self) -> list[str]:
        return np.unique(self.source).tolist()

    def images(self, index: Sequence[int]) -> list[str]:
        return [self.rows[i].image for i in index]


def table(a: np.ndarray, b: np.ndarray) -> tuple[list[str], list[str], np.ndarray]:
    """Counts of the pairs of two columns' values where both are known, with the values' names."""
    known = (a != "") & (b != "")
    names_a, rows = np.unique(a[known], return_inverse=True)
    names_b, columns = np.unique(b[known], return_inverse=True)
    counts = np.zeros((len(names_a), len(names_b)), dtype=int)
    np.add.at(counts, (rows, columns), 1)
    return names_a.tolist(), names_b.tolist(), counts


def cramers_v(counts: np.ndarray) -> float:
    """Association of two columns, 0 (none) to 1 (either determines the other); 0 for a single value."""
    from scipy.stats.contingency import association

    return float(association(counts, method="cramer")) if min(counts.shape) > 1 else 0.0


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
