"""All checks of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from classifier.data.validation import confounding, duplicates, shortcuts
from classifier.data.validation.warning import Collection, Severity, Warning_

if TYPE_CHECKING:
    from classifier.data.manifest import Row
    from classifier.data.validation.image_statistics import ImageStatistics

CHECKS = (
    confounding.confounding,
    shortcuts.probe,
    confounding.ages,
    confounding.patients,
    duplicates.copies,
    confounding.balance,
    shortcuts.source_properties,
    confounding.rare,
    shortcuts.unreadable,
)


def validate(rows: Sequence[Row], statistics: ImageStatistics) -> list[Warning_]:
    """All warnings, most severe first."""
    data = Collection.of(rows, statistics)
    found = [warning for check in CHECKS for warning in check(data)]
    return sorted(found, key=lambda warning: list(Severity).index(warning.severity))


def as_text(warnings: Sequence[Warning_]) -> str:
    """The warnings as paragraphs."""
    if not warnings:
        return "Data validation: no warnings."
    return "\n".join(f"[{w.severity}] {w.code}: {w.text}\n    {w.advice}" for w in warnings)
