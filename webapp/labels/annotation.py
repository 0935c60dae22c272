"""Labelling: blind in a queue, after the result was shown, or outside of a queue."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from classifier.contract import NORMAL
from webapp.accounts.models import User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.analysis.models import Analysis
from webapp.analysis.state import current_analysis
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs.table import JobStatus
from webapp.labels.ground_truth import assessments_of
from webapp.labels.models import (
    MAX_COMMENT_LENGTH,
    Assessment,
    ItemStatus,
    Label,
    LabelQueue,
    LabelSource,
    QueueClaim,
    QueueItem,
    Reading,
)
from webapp.labels.queues import FINDING, demand_named
from webapp.labels.regions.shapes import as_stored, check_regions
from webapp.scans.models import Scan

MAX_LABEL_FINDINGS = 40
CONTENT = ("findings", "confidence", "regions", "comment", "indeterminate", "unusable")


@dataclass(frozen=True)
class LabelContent:
    """What a label states; see `models.Label` for the fields."""

    findings: Mapping[str, str]
    confidence: int | None = None
    regions: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    comment: str = ""
    indeterminate: bool = False
    unusable: bool = False

    @property
    def columns(self) -> dict[str, Any]:
        """As a label's columns: line ends made one, coordinates to a tenth of a pixel."""
        regions = [as_stored(region) for region in self.regions]
        comment = self.comment.replace("\r\n", "\n").strip()
        return asdict(self) | {"findings": dict(self.findings), "regions": regions, "comment": comment}


@transaction.atomic
def case_label(
    *, item: QueueItem, reader: User, content: LabelContent, after: uuid.UUID | None = None
) -> Label:
    """Submit the reader's label of a case: first blind; then a corrected one, `after` naming the first.

    Submitting the same again returns the existing label. Raises CodedError `forbidden`, `invalid`, `conflict`
    for a closed queue or where `after` is not the last one.
    """
    item = locked(item)
    queue = item.queue
    demand_named(queue, reader)
    asked = {finding: content.findings.get(finding, Assessment.UNREAD.value) for finding in queue.findings}
    if others := set(content.findings) - set(asked):
        raise invalid("findings", f"This queue does not ask for {', '.join(sorted(map(str, others)))}.")
    content = LabelContent(**{**asdict(content), "findings": asked})
    check(content, item.scan)
    earlier = own_label(item, reader)
    if earlier and _same(earlier, content, after):
        return earlier
    check_latest(earlier, after, "You have already labelled this image.")
    if queue.closed_at is not None:
        raise CodedError("conflict", "This queue has been closed.", "Choose another queue.")
    label = add_label(item.scan, reader, content, queue=queue, blind=earlier is None, supersedes=earlier)
    QueueClaim.objects.filter(item=item, reader=reader).delete()
    renew(item)
    return label


@transaction.atomic
def label_add(
    *, scan: Scan, reader: User, content: LabelContent, blind: bool = False, after: uuid.UUID | None = None
) -> Label:
    """Label a scan outside of any queue; `after` names the reader's own one that this supersedes.

    `blind` as stated by the reader. Raises CodedError `forbidden`, `invalid`, `conflict`.
    """
    demand(reader, Permission.SCAN_LABEL, scan.site)
    check(content, scan)
    Scan.objects.select_for_update(no_key=True).get(pk=scan.pk)
    mine = Label.objects.filter(scan=scan, reader=reader, source=LabelSource.READER, queue=None)
    earlier = mine.filter(superseded_by=None).first()
    if earlier and _same(earlier, content, after):
        return earlier
    check_latest(earlier, after, "You have labelled this image in the meantime.")
    return add_label(scan, reader, content, blind=blind, supersedes=earlier)


@transaction.atomic
def queue_close(*, queue: LabelQueue, actor: User) -> LabelQueue:
    """Close the queue; its labels count from now on, however few. Raises CodedError `conflict`."""
    demand(actor, Permission.LABEL_MANAGE, queue.site)
    closed = LabelQueue.objects.filter(pk=queue.pk, closed_at=None).update(closed_at=timezone.now())
    if not closed:
        raise CodedError("conflict", "This queue is closed already.")
    queue.refresh_from_db()
    QueueClaim.objects.filter(item__queue=queue).delete()
    begun = queue.items.filter(status=ItemStatus.WAITING, done__gt=0)
    for item in begun.select_related("queue").select_for_update(no_key=True, of=("self",)):
        renew(item)
    record(actor=actor, site=queue.site, action="label_queue.closed", subject=queue)
    return queue


def own_label(item: QueueItem, reader: User) -> Label | None:
    """The reader's latest label of the case."""
    return item.reader_labels.filter(reader=reader, superseded_by=None).first()


def finished_analysis(scan: Scan) -> Analysis | None:
    """The scan's current analysis; None if it is not finished."""
    analysis = current_analysis(scan.analyses.select_related("model_version", "calibration"))
    return analysis if analysis and analysis.status == JobStatus.DONE else None


def renew(item: QueueItem) -> None:
    """Update the case's count of readers and its status; a settled case stays settled."""
    labels = list(item.reader_labels.filter(superseded_by=None))
    item.done = len({label.reader_id for label in labels})
    enough = 1 if item.queue.closed_at else item.queue.readers
    if item.done >= enough and item.status != ItemStatus.SETTLED:
        different = {tuple(sorted(assessments_of(label).items())) for label in labels}
        item.status = ItemStatus.AGREED if len(different) == 1 else ItemStatus.DISPUTED
    item.save(update_fields=["done", "status"])


def check(content: LabelContent, scan: Scan) -> None:
    """Raise CodedError `invalid`, naming the field, for what a label of the scan cannot state."""
    words = dict(content.findings)
    check_findings(words)
    if set(words.values()) == {Assessment.UNREAD} and not (content.indeterminate or content.unusable):
        raise invalid("findings", "Assess a finding, or mark the image indeterminate or unusable.")
    if content.confidence not in (None, 1, 2, 3):
        raise invalid("confidence", f"Confidence is 1 (low), 2 or 3 (high), not {content.confidence}.")
    if len(content.comment) > MAX_COMMENT_LENGTH or "\x00" in content.comment:
        raise invalid(
            "comment",
            f"A comment has at most {MAX_COMMENT_LENGTH} printable characters, not {len(content.comment)}.",
        )
    check_regions(content.regions, words, scan)


def check_findings(words: Mapping[str, str]) -> None:
    """Raise CodedError `invalid` for findings that no label can state, or that contradict each other."""
    if not 0 < len(words) <= MAX_LABEL_FINDINGS:
        raise invalid("findings", "A label states something of at least one finding.")
    for finding, word in words.items():
        if not isinstance(finding, str) or not FINDING.fullmatch(finding):
            raise invalid("findings", f"{finding!r} is not a valid code (a-z, 0-9, _).")
        if word not in Assessment.values:
            raise invalid("findings", f"{finding} is one of {', '.join(Assessment)}, not {str(word)[:40]!r}.")
    present = {finding for finding, word in words.items() if word == Assessment.PRESENT}
    if NORMAL in present and len(present) > 1:
        raise invalid("findings", "Normal and another finding contradict each other.")


def locked(item: QueueItem) -> QueueItem:
    """The case with its queue and scan, locked until the transaction ends."""
    rows = QueueItem.objects.select_for_update(no_key=True, of=("self",))
    return rows.select_related("queue__site", "scan").get(pk=item.pk)


def check_latest(earlier: Label | None, after: uuid.UUID | None, problem: str) -> None:
    """Raise CodedError `conflict` with the problem unless `after` names the label before."""
    if (earlier.pk if earlier else None) != after:
        raise CodedError("conflict", problem)


def add_label(
    scan: Scan, reader: User, content: LabelContent, *, blind: bool = True, **columns: Any
) -> Label:
    """Append a label or a decision, with its entry in the audit log."""
    label = Label(
        site=scan.site, scan=scan, reader=reader, signed_as=name_of(reader), **content.columns, **columns
    )
    decided = label.source == LabelSource.ADJUDICATION
    if not decided:
        # A reader who has signed a reading of the scan has seen its result.
        blind = blind and not Reading.objects.filter(reader=reader, scans=scan).exists()
        label.shown_analysis = None if blind else finished_analysis(scan)
    label.blind = blind
    if not decided and blind and any(region.get("suggested") for region in label.regions):
        raise invalid("regions", "A region from the heatmap cannot be part of a blind label.")
    label.save(force_insert=True)
    detail = {
        "scan": str(scan.pk),
        "queue": str(label.queue_id) if label.queue_id else None,
        "blind": blind,
        "supersedes": str(label.supersedes_id) if label.supersedes_id else None,
    }
    action = "label.adjudicated" if decided else "label.created"
    record(actor=reader, site=scan.site, action=action, subject=label, detail=detail)
    return label


def _same(earlier: Label, content: LabelContent, after: uuid.UUID | None) -> bool:
    """Whether this is the latest label, submitted again."""
    return earlier.supersedes_id == after and all(
        getattr(earlier, name) == value for name, value in content.columns.items()
    )


def name_of(user: User) -> str:
    return (user.get_full_name() or user.get_username())[:200]


def invalid(field_name: str, words: str) -> CodedError:
    """The error `invalid` of one field."""
    return CodedError("invalid", words, fields={field_name: [words]})
