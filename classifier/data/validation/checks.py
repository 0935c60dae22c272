"""All checks on one collection, gravest first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.data.validation import confounding as origins
from classifier.data.validation import duplicates, shortcuts
from classifier.data.validation.image_statistics import facts_of
from classifier.data.validation.warning import Collection, Severity, Warning_

if TYPE_CHECKING:
    from classifier.data.manifest import Row

CHECKS = (
    origins.confounding,
    shortcuts.probe,
    origins.ages,
    origins.patients,
    duplicates.copies,
    origins.balance,
    shortcuts.habits,
    origins.rare,
    shortcuts.unreadable,
)


def audit(rows: Sequence[Row], *, cache: Path | None = None, progress: bool = True) -> list[Warning_]:
    """Everything worth a warning, gravest first; `cache` keeps what was seen of each image."""
    data = Collection.of(rows, facts_of(rows, cache, progress=progress))
    found = [warning for check in CHECKS for warning in check(data)]
    return sorted(found, key=lambda warning: list(Severity).index(warning.severity))


def as_text(warnings: Sequence[Warning_]) -> str:
    """The warnings as paragraphs for people."""
    if not warnings:
        return "The audit found nothing to warn of."
    return "\n".join(f"[{w.severity}] {w.code}: {w.text}\n    {w.advice}" for w in warnings)
