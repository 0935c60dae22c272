"""Creating label queues, and assigning their cases so that readers do not collide."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from classifier.contract import Slot
from webapp.accounts.models import Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.labels.models import (
    MAX_READERS,
    ItemStatus,
    Label,
    LabelQueue,
    LabelSource,
    QueueClaim,
    QueueItem,
)
from webapp.labels.queue_order import in_order, offered_orders
from webapp.scans.models import Scan

MAX_FINDINGS = 9  # one key each
MAX_SCANS = 5000
CLAIM = timedelta(minutes=15)
FINDING = re.compile(r"[a-z][a-z0-9_]{0,63}")


def scans_to_label(
    *,
    site: Site,
    slot: str,
    unlabelled: bool = True,
    received_after: datetime | None = None,
    received_before: datetime | None = None,
) -> QuerySet[Scan]:
    """The site's images of this kind that a queue may ask for; of the same pixels only the first ones."""
    scans = Scan.objects.filter(site=site, slot=slot, duplicate_of=None)
    if received_after:
        scans = scans.filter(received_at__gte=received_after)
    if received_before:
        scans = scans.filter(received_at__lt=received_before)
    if unlabelled:
        scans = scans.filter(~Exists(Label.objects.filter(scan=OuterRef("pk"))))
    return scans


@transaction.atomic
def queue_create(
    *,
    site: Site,
    actor: User,
    name: str,
    findings: Sequence[str],
    order: str,
    readers: int,
    at_most: int,
    slot: str = Slot.CXR,
    scans: Collection[uuid.UUID] | None = None,
    **contents: Any,
) -> LabelQueue:
    """Make a queue of the first `at_most` scans in its order; `contents` as `scans_to_label` takes them.

    With `scans` named it holds those of them that are the site's. Raises CodedError `forbidden`, or `invalid`
    with what is wrong with which field.
    """
    demand(actor, Permission.LABEL_MANAGE, site)
    name, findings = " ".join(name.split()), list(findings)
    _check_queue(site, name, findings, order, readers, at_most, slot)
    chosen = (
        scans_to_label(site=site, slot=slot, **contents)
        if scans is None
        else Scan.objects.filter(site=site, pk__in=scans)
    )
    keys, seed = list(chosen.order_by("pk").values_list("pk", flat=True)), secrets.token_hex(8)
    queue = LabelQueue(
        site=site, name=name, findings=findings, order=order, readers=readers, created_by=actor
    )
    asked = {key: value for key, value in contents.items() if value is not None}
    if scans is not None:
        asked = {"named": len(keys)}
    queue.contents = {"slot": slot, "at_most": at_most, "seed": seed, "among": len(keys)} | {
        key: value.isoformat() if isinstance(value, datetime) else value for key, value in asked.items()
    }
    try:
        with transaction.atomic():
            queue.save(force_insert=True)
    except IntegrityError as error:
        raise _wrong(name="A queue with this name already exists.") from error
    ranked = in_order(keys, findings, order=order, seed=seed)[:at_most]
    QueueItem.objects.bulk_create(
        [
            QueueItem(queue=queue, scan_id=scan, position=place, score=score)
            for place, (scan, score) in enumerate(ranked, 1)
        ],
        batch_size=500,
    )
    detail = {"order": order, "readers": readers, "scans": len(ranked), "findings": findings}
    record(actor=actor, site=site, action="label_queue.created", subject=queue, detail=detail)
    return queue


@transaction.atomic
def case_next(*, queue: LabelQueue, reader: User) -> QueueItem | None:
    """The reader's next case, held for them for a while; None when there is nothing (more) for them.

    Their open case comes first. A case is assigned to as many readers at a time as it still needs; an expired
    claim frees a place, and a late label is kept. Raises CodedError `forbidden`, `conflict` (closed queue).
    """
    demand(reader, Permission.SCAN_LABEL, queue.site)
    # The lock keeps simultaneous requests from taking the same place.
    queue = LabelQueue.objects.select_for_update(no_key=True).get(pk=queue.pk)
    if queue.closed_at is not None:
        raise CodedError("conflict", "This queue is closed.", "Choose another one.")
    now = timezone.now()
    item = _open_to([queue.pk], reader, now).order_by("-own", "position").first()
    if item is not None:
        until = {"until": now + CLAIM}
        QueueClaim.objects.update_or_create(item=item, reader=reader, defaults=until)
    return item


def case_extend(*, item: QueueItem, reader: User) -> bool:
    """Hold the reader's open case for longer; False when it is not theirs any more."""
    held = QueueClaim.objects.filter(item=item, reader=reader, until__gt=timezone.now())
    return bool(held.update(until=timezone.now() + CLAIM))


def remaining_for(*, queues: Iterable[LabelQueue], reader: User) -> dict[uuid.UUID, int]:
    """How many cases of each of these queues the reader could be asked now, by the queue's id."""
    asking = [queue.pk for queue in queues if queue.closed_at is None]
    items = _open_to(asking, reader, timezone.now()).values("pk")
    counts = QueueItem.objects.filter(pk__in=items).order_by().values("queue").annotate(n=Count("pk"))
    return {row["queue"]: row["n"] for row in counts}


def _open_to(queues: Iterable[uuid.UUID], reader: User, now: datetime) -> QuerySet[QueueItem]:
    """Cases that want another reader and have not had this one; `own` is 1 for the one that is theirs."""
    mine = Label.objects.filter(
        queue=OuterRef("queue"), scan=OuterRef("scan"), reader=reader, source=LabelSource.READER
    )
    live = Q(claims__until__gt=now)
    return (
        QueueItem.objects.filter(~Exists(mine), queue__in=list(queues), status=ItemStatus.WAITING)
        .annotate(
            others=Count("claims", filter=live & ~Q(claims__reader=reader), distinct=True),
            own=Count("claims", filter=live & Q(claims__reader=reader), distinct=True),
        )
        .filter(others__lt=F("queue__readers") - F("done"))
    )


def _check_queue(
    site: Site, name: str, findings: Sequence[str], order: str, readers: int, at_most: int, slot: str
) -> None:
    wrong: dict[str, str] = {}
    if not 0 < len(name) <= 100:
        wrong["name"] = "A queue needs a name of at most 100 characters."
    elif LabelQueue.objects.filter(site=site, name=name).exists():
        wrong["name"] = "A queue with this name already exists."
    if not 0 < len(findings) <= MAX_FINDINGS or len(set(findings)) != len(findings):
        wrong["findings"] = f"Name 1 to {MAX_FINDINGS} different findings."
    elif not all(FINDING.fullmatch(finding) for finding in findings):
        wrong["findings"] = "Codes consist of a-z, 0-9 and _, such as pleural_effusion."
    if order not in offered_orders():
        wrong["order"] = f"The order is one of {', '.join(offered_orders())}."
    if not 1 <= readers <= MAX_READERS:
        wrong["readers"] = f"From 1 to {MAX_READERS} readers an image."
    if not 1 <= at_most <= MAX_SCANS:
        wrong["at_most"] = f"From 1 to {MAX_SCANS} images."
    if slot not in set(Slot):
        wrong["slot"] = "Unknown kind of image."
    if wrong:
        raise _wrong(**wrong)


def _wrong(**fields: str) -> CodedError:
    by_field = {name: [text] for name, text in fields.items()}
    return CodedError("invalid", " ".join(fields.values()), fields=by_field)
