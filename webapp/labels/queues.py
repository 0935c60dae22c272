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
from webapp.accounts.models import Membership, Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import can, demand
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
    QueueSkip,
    SkipReason,
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
    named: Sequence[User] = (),
    scans: Collection[uuid.UUID] | None = None,
    **contents: Any,
) -> LabelQueue:
    """Make a queue of the first `at_most` scans in its order; `contents` as `scans_to_label` takes them.

    `named`: the people who label it; without any, whoever may label. With `scans` named it holds those of
    them that are the site's. Raises CodedError `forbidden`, or `invalid` with what is wrong with which field.
    """
    demand(actor, Permission.LABEL_MANAGE, site)
    name, findings = " ".join(name.split()), list(findings)
    _check_queue(site, name, findings, order, readers, at_most, slot)
    _check_named(site, named, readers)
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
    queue.named.set(named)
    ranked = in_order(keys, findings, order=order, seed=seed)[:at_most]
    QueueItem.objects.bulk_create(
        [
            QueueItem(queue=queue, scan_id=scan, position=place, score=score)
            for place, (scan, score) in enumerate(ranked, 1)
        ],
        batch_size=500,
    )
    detail = {"order": order, "readers": readers, "scans": len(ranked), "findings": findings}
    detail |= {"named": sorted(person.get_username() for person in named)} if named else {}
    record(actor=actor, site=site, action="label_queue.created", subject=queue, detail=detail)
    return queue


@transaction.atomic
def case_next(*, queue: LabelQueue, reader: User) -> QueueItem | None:
    """The reader's next case, held for them for a while; None when there is nothing (more) for them.

    Their open case comes first. A case is assigned to as many readers at a time as it still needs; an expired
    claim frees a place, and a late label is kept. Raises CodedError `forbidden`, `conflict` (closed queue).
    """
    demand_named(queue, reader)
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


@transaction.atomic
def case_skip(*, item: QueueItem, reader: User, reason: str, text: str = "") -> QueueSkip:
    """Pass the case over: it is not offered to this reader again, but they may still label it.

    Raises CodedError `forbidden`, `reason_missing`, `invalid`, and `conflict` where they have labelled it.
    """
    demand_named(item.queue, reader)
    text = " ".join(text.split())
    if reason not in SkipReason.values or (reason == SkipReason.OTHER and not text):
        raise CodedError(
            "reason_missing", None, f"Choose one of {', '.join(SkipReason.values)}; describe other."
        )
    if len(text) > 200 or "\x00" in text:
        raise _wrong(text=f"A reason has at most 200 characters; this one has {len(text)}.")
    if item.reader_labels.filter(reader=reader).exists():
        raise CodedError("conflict", "You have already labelled this image.", "Change your label instead.")
    skip, made = QueueSkip.objects.get_or_create(
        item=item, reader=reader, defaults={"reason": reason, "text": text}
    )
    QueueClaim.objects.filter(item=item, reader=reader).delete()
    if made:
        detail = {"queue": str(item.queue_id), "reason": reason}
        record(actor=reader, site=item.queue.site, action="label_case.skipped", subject=item, detail=detail)
    return skip


def case_previous(*, item: QueueItem, reader: User) -> QueueItem | None:
    """The case of the queue that the reader labelled or skipped before this one."""
    first = Label.objects.filter(
        queue=item.queue_id, reader=reader, source=LabelSource.READER, supersedes=None
    )
    skips = QueueSkip.objects.filter(item__queue=item.queue_id, reader=reader)
    handled = dict(first.values_list("scan", "created_at"))
    for scan, at in skips.values_list("item__scan", "created_at"):
        handled.setdefault(scan, at)
    until = handled.get(item.scan_id)
    earlier = [(at, scan) for scan, at in handled.items() if until is None or at < until]
    return item.queue.items.get(scan=max(earlier)[1]) if earlier else None


def readers_at(site: Site) -> list[User]:
    """The active members who may label at the site, by user name."""
    held = Membership.objects.filter(site=site, user__is_active=True).select_related("user", "role")
    return [
        one.user for one in held.order_by("user__username") if Permission.SCAN_LABEL in one.role.permissions
    ]


def people_named(site: Site, keys: Collection[uuid.UUID]) -> list[User]:
    """Those of `readers_at` with these ids; raises CodedError `invalid` for any other id."""
    found = {person.pk: person for person in readers_at(site)}
    if unknown := [str(key) for key in keys if key not in found]:
        raise _wrong(named=f"{unknown[0]} is not the ID of a user who may label at this site.")
    return [found[key] for key in dict.fromkeys(keys)]


def demand_named(queue: LabelQueue, reader: User) -> None:
    """Raise CodedError `forbidden` for who may not label, or is not one of the queue's named readers."""
    demand(reader, Permission.SCAN_LABEL, queue.site)
    if queue.named.exists() and not queue.named.filter(pk=reader.pk).exists():
        raise CodedError(
            "forbidden", "This queue has named readers, and you are not one of them.", "Choose another queue."
        )


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
    skipped = QueueSkip.objects.filter(item=OuterRef("pk"), reader=reader)
    named = LabelQueue.named.through.objects.filter(labelqueue=OuterRef("queue"))
    theirs = ~Exists(named) | Exists(named.filter(user=reader))
    return (
        QueueItem.objects.filter(~Exists(mine), ~Exists(skipped), theirs)
        .filter(queue__in=list(queues), status=ItemStatus.WAITING)
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
        wrong["name"] = f"A queue needs a name of at most 100 characters; this one has {len(name)}."
    elif LabelQueue.objects.filter(site=site, name=name).exists():
        wrong["name"] = f"A queue “{name}” already exists."
    if not 0 < len(findings) <= MAX_FINDINGS or len(set(findings)) != len(findings):
        wrong["findings"] = f"Name 1 to {MAX_FINDINGS} different findings; these are {len(findings)}."
    elif bad := [finding for finding in findings if not FINDING.fullmatch(finding)]:
        wrong["findings"] = f"“{bad[0][:64]}” is not a code of a-z, 0-9 and _, such as pleural_effusion."
    if order not in offered_orders():
        wrong["order"] = f"“{order[:40]}” is not an order: use one of {', '.join(offered_orders())}."
    if not 1 <= readers <= MAX_READERS:
        wrong["readers"] = f"From 1 to {MAX_READERS} readers an image, not {readers}."
    if not 1 <= at_most <= MAX_SCANS:
        wrong["at_most"] = f"From 1 to {MAX_SCANS} images, not {at_most}."
    if slot not in set(Slot):
        wrong["slot"] = f"“{slot[:40]}” is not a kind of image: use one of {', '.join(Slot)}."
    if wrong:
        raise _wrong(**wrong)


def _check_named(site: Site, named: Sequence[User], readers: int) -> None:
    if named and len(named) < readers:
        raise _wrong(named=f"{readers} readers an image need at least as many names; these are {len(named)}.")
    for person in named:
        if not can(person, Permission.SCAN_LABEL, site):
            raise _wrong(named=f"{person.get_username()} may not label at this site.")


def _wrong(**fields: str) -> CodedError:
    by_field = {name: [text] for name, text in fields.items()}
    return CodedError("invalid", " ".join(fields.values()), fields=by_field)
