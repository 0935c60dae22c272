"""Progress of queues and readers, agreement, and cases to adjudicate."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from webapp.accounts.models import User
from webapp.accounts.services import can, for_sites
from webapp.core.agreement import Kappa, cohen, fleiss
from webapp.core.errors import CodedError
from webapp.core.queries import get_or_404
from webapp.labels.ground_truth import assessments_of
from webapp.labels.models import Assessment, ItemStatus, Label, LabelQueue, LabelSource, QueueItem, QueueSkip

PERMISSION, ADJUDICATE = "scan.label", "label.adjudicate"


@dataclass(frozen=True)
class ReaderProgress:
    """Images that a reader has labelled in a queue; `changed`: corrected after seeing the result."""

    reader: User
    labelled: int
    changed: int
    latest: datetime


@dataclass(frozen=True)
class Agreement:
    """How far the readers agree on one finding, blind; `pairs`: (reader, reader, Cohen's kappa)."""

    finding: str
    overall: Kappa
    pairs: list[tuple[User, User, Kappa]]


def queues_visible(user: User) -> QuerySet[LabelQueue]:
    """The queues of the sites where the user may label, newest first, each with its numbers of images."""
    counts = {
        "images": Count("items"),
        **{status: Count("items", filter=Q(items__status=status)) for status in ItemStatus.values},
    }
    visible = for_sites(LabelQueue.objects.select_related("site", "created_by"), user, PERMISSION)
    return visible.annotate(**counts).order_by("-created_at", "-pk")


def queues_with_readers(user: User) -> QuerySet[LabelQueue]:
    """`queues_visible` with their named readers."""
    return queues_visible(user).prefetch_related("named")


def queue_or_404(user: User, queue_id: uuid.UUID) -> LabelQueue:
    return get_or_404(queues_visible(user), queue_id)


def held_or_404(user: User, item_id: uuid.UUID) -> QueueItem:
    """A case that the user was given, has skipped or labelled, or may adjudicate."""
    item = item_or_404(user, item_id)
    claimed = item.claims.filter(reader=user).exists()
    labelled = item.reader_labels.filter(reader=user, superseded_by=None).exists()
    skipped = item.skips.filter(reader=user).exists()
    if claimed or labelled or skipped or can(user, ADJUDICATE, item.queue.site):
        return item
    raise CodedError("not_found")


def items_visible(user: User) -> QuerySet[QueueItem]:
    rows = QueueItem.objects.select_related("queue__site", "scan__site")
    return for_sites(rows, user, PERMISSION, "queue__site")


def item_or_404(user: User, item_id: uuid.UUID) -> QueueItem:
    return get_or_404(items_visible(user), item_id)


def labels_visible(user: User) -> QuerySet[Label]:
    """Labels at the user's sites, without others' labels of scans that the user may still be asked for.

    `hides_reader`: given by another in a queue that has not settled the scan; the name is then not shown.
    """
    mine = Label.objects.filter(
        queue=OuterRef("queue"), scan=OuterRef("scan"), reader=user, source=LabelSource.READER
    )
    asked = QueueItem.objects.filter(
        ~Exists(mine), scan=OuterRef("scan"), status=ItemStatus.WAITING, queue__closed_at=None
    )
    own = Q(reader=user, source=LabelSource.READER)
    undecided = QueueItem.objects.filter(
        queue=OuterRef("queue"), scan=OuterRef("scan"), status__in=(ItemStatus.WAITING, ItemStatus.DISPUTED)
    )
    rows = (
        Label.objects.select_related("superseded_by")
        .annotate(hides_reader=~Q(reader=user) & Q(source=LabelSource.READER) & Exists(undecided))
        .order_by("-created_at", "-pk")
    )
    return for_sites(rows, user, PERMISSION).filter(own | ~Exists(asked))


def readers_of(queue: LabelQueue) -> list[ReaderProgress]:
    """Who has labelled in the queue, those with most first."""
    rows = (
        Label.objects.filter(queue=queue, source=LabelSource.READER)
        .values("reader")
        .annotate(n=Count("scan", distinct=True), changed=Count("supersedes"), latest=Max("created_at"))
    )
    people = User.objects.in_bulk([row["reader"] for row in rows])
    found = [ReaderProgress(people[r["reader"]], r["n"], r["changed"], r["latest"]) for r in rows]
    return sorted(found, key=lambda one: (-one.labelled, one.reader.get_username()))


def skips_of(queue: LabelQueue) -> QuerySet[QueueSkip]:
    """Cases that readers passed over, in the queue's order."""
    skips = QueueSkip.objects.filter(item__queue=queue).select_related("item", "reader")
    return skips.order_by("item__position", "created_at")


def agreement_of(queue: LabelQueue) -> list[Agreement]:
    """Kappa for each finding from the blind labels of the images that have all their readers.

    Cohen's where two readers read everything; Fleiss' where they were more, over the first so many of each
    image. An image that one of them has not read for the finding is left out.
    """
    by_scan = _blind_labels(queue)
    people = User.objects.in_bulk({label.reader_id for some in by_scan for label in some})
    return [
        Agreement(finding, _overall(finding, by_scan, queue.readers), _pairs(finding, by_scan, people))
        for finding in queue.findings
    ]


def labels_of(item: QueueItem) -> list[Label]:
    """The readers' labels of a case in its queue, oldest first."""
    return list(item.reader_labels.select_related("reader", "superseded_by").order_by("created_at"))


def decision_of(item: QueueItem) -> Label | None:
    """The latest decision on the case's image, in whichever queue it was made."""
    decided = Label.objects.filter(scan=item.scan_id, source=LabelSource.ADJUDICATION, superseded_by=None)
    return decided.select_related("reader").first()


def _blind_labels(queue: LabelQueue) -> list[list[Label]]:
    """The first labels of each complete image, as many as it has readers."""
    complete = queue.items.exclude(status=ItemStatus.WAITING).values("scan")
    first = Label.objects.filter(
        queue=queue, source=LabelSource.READER, supersedes=None, blind=True, scan__in=complete
    ).order_by("created_at", "pk")
    by_scan: dict[uuid.UUID, list[Label]] = defaultdict(list)
    for label in first:
        by_scan[label.scan_id].append(label)
    return [some[: queue.readers] for some in by_scan.values()]


def _overall(finding: str, by_scan: Sequence[Sequence[Label]], readers: int) -> Kappa:
    if readers < 2:
        return Kappa(None, None, None, None, 0)
    whole = [words for some in by_scan if len(words := _words(finding, some)) == readers]
    people = {reader for words in whole for reader in words}
    if len(people) == 2:
        one, other = sorted(people)
        return cohen([(words[one], words[other]) for words in whole])
    return fleiss([list(words.values()) for words in whole])


def _pairs(
    finding: str, by_scan: Sequence[Sequence[Label]], people: dict[Any, User]
) -> list[tuple[User, User, Kappa]]:
    both: dict[tuple[Any, Any], list[tuple[str, str]]] = defaultdict(list)
    for some in by_scan:
        words = _words(finding, some)
        for one, other in combinations(sorted(words), 2):
            both[one, other].append((words[one], words[other]))
    return [(people[one], people[other], cohen(pairs)) for (one, other), pairs in both.items()]


def _words(finding: str, labels: Iterable[Label]) -> dict[Any, str]:
    """Each reader's assessment of the finding, except `unread`."""
    words = {label.reader_id: assessments_of(label).get(finding, Assessment.UNREAD) for label in labels}
    return {reader: word for reader, word in words.items() if word != Assessment.UNREAD}
