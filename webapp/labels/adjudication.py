"""Deciding cases on which their readers disagree: by a person who has not read the case."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet

from classifier.contract import NORMAL
from webapp.accounts.models import User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.core.errors import CodedError
from webapp.labels.annotation import LabelContent, add_label, check, check_latest, invalid, locked
from webapp.labels.ground_truth import assessments_of
from webapp.labels.models import Assessment, ItemStatus, Label, LabelQueue, LabelSource, QueueItem
from webapp.scans.models import Scan


def findings_to_decide(findings: Sequence[str], labels: Iterable[Label]) -> list[str]:
    """Those that the labels assess differently, in the queue's order; all of them where none differs.

    With any other finding Normal is decided too where the readers agree that it is present: the two would
    contradict each other.
    """
    words = [assessments_of(label) for label in labels]
    differing = [finding for finding in findings if len({one.get(finding) for one in words}) > 1]
    if differing and all(one.get(NORMAL) == Assessment.PRESENT for one in words):
        differing = [finding for finding in findings if finding in differing or finding == NORMAL]
    return differing or list(findings)


def disputed_for(queue: LabelQueue, actor: User) -> QuerySet[QueueItem]:
    """The cases that wait for a decision and that the actor has not labelled."""
    return _undecided(actor).filter(queue=queue).select_related("queue", "scan").order_by("position")


def to_decide(queues: Iterable[LabelQueue], actor: User) -> dict[uuid.UUID, int]:
    """The number of `disputed_for` by the queue's id; queues without any are missing."""
    items = _undecided(actor).filter(queue__in=[queue.pk for queue in queues])
    return dict(items.order_by().values_list("queue").annotate(Count("pk")))


def _undecided(actor: User) -> QuerySet[QueueItem]:
    own = Label.objects.filter(
        queue=OuterRef("queue"), scan=OuterRef("scan"), reader=actor, source=LabelSource.READER
    )
    return QueueItem.objects.filter(~Exists(own), status=ItemStatus.DISPUTED)


def demand_other_reader(item: QueueItem, actor: User) -> None:
    """Raise CodedError `adjudicator_is_reader` where the actor has labelled the case in its queue."""
    if item.reader_labels.filter(reader=actor).exists():
        raise CodedError("adjudicator_is_reader")


@transaction.atomic
def adjudicate(
    *, item: QueueItem, actor: User, content: LabelContent, reason: str, after: uuid.UUID | None = None
) -> Label:
    """Adjudicate an image of a queue; `after` names the last decision.

    The content states `findings_to_decide`; for the other findings the decision takes what the readers agree
    on. Raises CodedError `forbidden`, `adjudicator_is_reader`, `invalid`, `reason_missing`, and `conflict`
    while readers are still asked.
    """
    item = locked(item)
    queue, reason = item.queue, reason.strip()
    demand(actor, Permission.LABEL_ADJUDICATE, queue.site)
    demand_other_reader(item, actor)
    if not reason:
        raise CodedError("reason_missing", "A reason is required.", "Enter a short reason.")
    if len(reason) > 500 or "\x00" in reason:
        raise invalid("reason", "A reason has at most 500 characters.")
    if item.status == ItemStatus.WAITING and queue.closed_at is None:
        raise CodedError("conflict", "Its readers have not all read it yet.", "Decide when they have.")
    content = _completed(item, content)
    check(content, item.scan)
    Scan.objects.select_for_update(no_key=True).get(pk=item.scan_id)
    decisions = Label.objects.filter(scan=item.scan, source=LabelSource.ADJUDICATION)
    earlier = decisions.filter(superseded_by=None).first()
    check_latest(earlier, after, "Someone else has adjudicated this image in the meantime.")
    decided = {"source": LabelSource.ADJUDICATION, "reason": reason, "supersedes": earlier}
    label = add_label(item.scan, actor, content, queue=queue, **decided)
    item.status = ItemStatus.SETTLED
    item.save(update_fields=["status"])
    return label


def _completed(item: QueueItem, content: LabelContent) -> LabelContent:
    """The decision with what the readers agree on; raises CodedError `invalid` for other findings."""
    labels = list(item.reader_labels.filter(superseded_by=None))
    asked = findings_to_decide(item.queue.findings, labels)
    if missing := [finding for finding in asked if finding not in content.findings]:
        names = ", ".join(missing)
        raise invalid("findings", f"Decide {names}; use uncertain if unclear.")
    if Assessment.UNREAD in (content.findings[finding] for finding in asked):
        raise invalid("findings", "A decision leaves no finding unread.")
    words = assessments_of(labels[0]) if labels else {}
    agreed = {finding: words.get(finding, Assessment.UNREAD.value) for finding in item.queue.findings}
    for finding, word in content.findings.items():
        if finding not in asked and word != agreed.get(finding):
            stated = agreed.get(finding)
            problem = f"its readers agree on {stated}" if stated else "this queue does not ask for it"
            raise invalid("findings", f"{finding} cannot be decided as {word}: {problem}.")
    return replace(content, findings={f: content.findings.get(f, word) for f, word in agreed.items()})
