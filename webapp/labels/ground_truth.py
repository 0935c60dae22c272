"""Ground truth of an image from its labels. Unknown is not absent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from webapp.labels.models import Assessment, Label, LabelSource

Words = Mapping[str, str]
SETTLING = {Assessment.PRESENT, Assessment.ABSENT}


def assessments_of(label: Label) -> dict[str, str]:
    """Assessment by finding; `uncertain` throughout for an unusable or indeterminate image."""
    if label.indeterminate or label.unusable:
        return dict.fromkeys(label.findings, Assessment.UNCERTAIN.value)
    return dict(label.findings)


def agreed(words: Sequence[Words], decided: Words | None = None) -> dict[str, str | None]:
    """Present, absent or None (unknown) for each finding that anybody was asked for.

    A decision wins; otherwise all readers must agree. `unread` and `uncertain` leave a finding unknown.
    """
    decided = {f: word for f, word in (decided or {}).items() if word != Assessment.UNREAD}
    found: dict[str, str | None] = {}
    for finding in dict.fromkeys(f for one in (decided, *words) for f in one):
        values = {decided[finding]} if finding in decided else {w[finding] for w in words if finding in w}
        word = values.pop() if len(values) == 1 else None
        found[finding] = word if word in SETTLING else None
    return found


def rater_of(label: Label) -> Hashable:
    """Key of the person who labelled; for imported labels the name in the file."""
    if label.source == LabelSource.IMPORT:
        return ("import", label.signed_as)
    return label.reader_id


def votes(labels: Iterable[Label]) -> list[dict[str, str]]:
    """Each reader's latest assessments."""
    latest: dict[Hashable, dict[str, str]] = defaultdict(dict)
    for label in sorted(labels, key=lambda one: one.created_at):
        latest[rater_of(label)].update(assessments_of(label))
    return list(latest.values())


def complete(labels: Sequence[Label], queues: Mapping[Any, tuple[int, bool]]) -> list[Label]:
    """The labels that count: those of a queue once it has all its readers for the scan, or is closed.

    `queues`: id to (readers a scan, closed).
    """
    readers: dict[Any, set[Any]] = defaultdict(set)
    for label in labels:
        readers[label.queue_id].add(label.reader_id)
    met = {key for key, (wanted, closed) in queues.items() if closed or len(readers[key]) >= wanted}
    return [label for label in labels if label.queue_id is None or label.queue_id in met]


def ground_truth_of(labels: Iterable[Label], queues: Mapping[Any, tuple[int, bool]]) -> dict[str, str | None]:
    """The ground truth of one scan from its current labels."""
    labels = list(labels)
    decisions = [one for one in labels if one.source == LabelSource.ADJUDICATION]
    latest = max(decisions, key=lambda one: one.created_at, default=None)
    readers = complete([one for one in labels if one.source != LabelSource.ADJUDICATION], queues)
    return agreed(votes(readers), assessments_of(latest) if latest else None)
