"""Finding what was done to the audit log past its triggers: events changed, removed, inserted or swapped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.db.models import Exists, OuterRef

from webapp.audit.models import AuditChain, AuditEvent, AuditLink
from webapp.audit.signing import chain_of, is_genuine, link_of

BATCH = 2000


class Problem(StrEnum):
    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"
    SWAPPED = "swapped"
    END_REMOVED = "end_removed"
    ANCHOR_LOST = "anchor_lost"


MEANING = {
    Problem.CHANGED: "the event is not as Hilum recorded it, or was recorded with a key not in AUDIT_KEYS",
    Problem.REMOVED: "events of the chain are missing",
    Problem.INSERTED: "the event is in no chain",
    Problem.SWAPPED: "the event does not belong at this place of the chain",
    Problem.END_REMOVED: "the last events of the chain are missing, or its end was changed",
    Problem.ANCHOR_LOST: "the chain does not contain this earlier end",
}


@dataclass(frozen=True)
class Discrepancy:
    """`first` to `last` are numbers in `chain`; `event` is the event's id where one is known."""

    problem: Problem
    chain: str
    first: int = 0
    last: int = 0
    event: UUID | None = None

    def __str__(self) -> str:
        numbers = f" number {self.first}" if self.first else ""
        numbers = f" numbers {self.first} to {self.last}" if self.last > self.first else numbers
        event = f" event {self.event}" if self.event else ""
        return f"{self.problem}: chain {self.chain}{numbers}{event}: {MEANING[self.problem]}"


@dataclass(frozen=True)
class Anchor:
    """The end that a chain had at some time, kept where nobody who can change the database can change it."""

    chain: str
    number: int
    link: str


def ends() -> list[Anchor]:
    """The end of every chain now."""
    return [
        Anchor(one.chain, one.length, one.head) for one in AuditChain.objects.order_by("chain") if one.length
    ]


def verify(anchors: Iterable[Anchor] = ()) -> Iterator[Discrepancy]:
    """Everything that is wrong with the log; `anchors` are earlier ends that its chains have to contain.

    Reads each event once, in batches, while others may be recorded. Without an anchor from outside nobody
    can know of events that were removed from the end together with the end that the database keeps.
    """
    kept = {end.chain: end for end in ends()}
    chains = AuditLink.objects.order_by("chain").values_list("chain", flat=True).distinct()
    for chain in sorted({*chains, *kept}):
        yield from _verify_chain(chain, kept.get(chain))
    linked = AuditLink.objects.filter(event_id=OuterRef("pk"))
    loose = AuditEvent.objects.filter(~Exists(linked)).order_by()
    for event, site in loose.values_list("pk", "site_id").iterator():
        yield Discrepancy(Problem.INSERTED, chain_of(site), event=event)
    for anchor in anchors:
        if not AuditLink.objects.filter(chain=anchor.chain, number=anchor.number, link=anchor.link).exists():
            yield Discrepancy(Problem.ANCHOR_LOST, anchor.chain, anchor.number)


def _verify_chain(chain: str, end: Anchor | None) -> Iterator[Discrepancy]:
    number, link, reached = 0, "", ""
    for links in _batches(chain):
        events = AuditEvent.objects.in_bulk([one.event_id for one in links])
        for one in links:
            if one.number > number + 1:
                yield Discrepancy(Problem.REMOVED, chain, number + 1, one.number - 1)
            event = events.get(one.event_id)
            gap = one.number != number + 1
            if event is None:
                yield Discrepancy(Problem.REMOVED, chain, one.number, event=one.event_id)
            elif not is_genuine(event):
                yield Discrepancy(Problem.CHANGED, chain, one.number, event=event.pk)
            elif chain_of(event.site_id) != chain or (
                not gap and one.link != link_of(link, one.number, event.digest)
            ):
                yield Discrepancy(Problem.SWAPPED, chain, one.number, event=event.pk)
            number, link = one.number, one.link
            if end and number == end.number:
                reached = link
    if end is None or number < end.number or reached != end.link:
        missing = (number + 1, end.number) if end and number < end.number else (number, number)
        yield Discrepancy(Problem.END_REMOVED, chain, *missing)


def _batches(chain: str) -> Iterator[list[AuditLink]]:
    number = 0
    links = AuditLink.objects.filter(chain=chain).order_by("number")
    while batch := list(links.filter(number__gt=number)[:BATCH]):
        yield batch
        number = batch[-1].number
