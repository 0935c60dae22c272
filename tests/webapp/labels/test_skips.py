"""Skipped cases, the way back to the previous one, and queues with named readers."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.labels.annotation import LabelContent, case_label
from webapp.labels.models import QueueSkip
from webapp.labels.queue_progress import held_or_404, skips_of
from webapp.labels.queues import case_next, case_previous, case_skip, readers_at, remaining_for

pytestmark = pytest.mark.django_db
SICK = LabelContent({"normal": "absent", "pneumonia": "present"})


def refusal(act):
    with pytest.raises(CodedError) as caught:
        act()
    return caught.value


def test_a_skipped_case_is_offered_to_others_and_not_to_the_reader_again(queue, owner, teammate):
    first = case_next(queue=queue, reader=owner)
    case_skip(item=first, reader=owner, reason="other", text=" wrong   side ")
    second = case_next(queue=queue, reader=owner)
    assert second.position == first.position + 1
    assert remaining_for(queues=[queue], reader=owner) == {queue.pk: 2}
    assert case_next(queue=queue, reader=teammate) == first
    (skip,) = skips_of(queue)
    assert (skip.item, skip.reader, skip.reason, skip.text) == (first, owner, "other", "wrong side")
    event = AuditEvent.objects.get(action="label_case.skipped")
    assert event.detail == {"queue": str(queue.pk), "reason": "other"}
    assert held_or_404(owner, first.pk) == first, "its image may still be seen"
    assert case_label(item=first, reader=owner, content=SICK), "they may still label it"


@pytest.mark.parametrize(
    ("reason", "text", "code"),
    [("", "", "reason_missing"), ("tired", "", "reason_missing"), ("other", " ", "reason_missing"),
     ("other", "x" * 201, "invalid")],
)  # fmt: skip
def test_a_skip_needs_a_reason(queue, owner, reason, text, code):
    item = case_next(queue=queue, reader=owner)
    assert refusal(lambda: case_skip(item=item, reader=owner, reason=reason, text=text)).code == code
    assert not QueueSkip.objects.exists()


def test_a_labelled_case_is_not_skipped_and_a_skip_stays(queue, owner, teammate):
    item = queue.items.get(position=1)
    case_label(item=item, reader=owner, content=SICK)
    assert refusal(lambda: case_skip(item=item, reader=owner, reason="known")).code == "conflict"
    skip = case_skip(item=item, reader=teammate, reason="known")
    assert case_skip(item=item, reader=teammate, reason="image") == skip
    for act in (lambda: QueueSkip.objects.update(reason="image"), lambda: QueueSkip.objects.all().delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            act()


def test_previous_leads_back_through_what_was_labelled_and_skipped(queue, owner):
    one, two, three = queue.items.order_by("position")
    assert case_previous(item=one, reader=owner) is None
    label = case_label(item=one, reader=owner, content=SICK)
    case_skip(item=two, reader=owner, reason="unsure")
    changed = LabelContent({"normal": "present", "pneumonia": "absent"})
    case_label(item=one, reader=owner, content=changed, after=label.pk)
    assert case_previous(item=three, reader=owner) == two
    assert case_previous(item=two, reader=owner) == one
    assert case_previous(item=one, reader=owner) is None


def test_a_queue_with_named_readers_asks_only_them(make_queue, scans, owner, teammate, third, boss):
    queue = make_queue(named=[owner, teammate])
    assert remaining_for(queues=[queue], reader=owner) == {queue.pk: 3}
    assert remaining_for(queues=[queue], reader=third) == {}
    item = case_next(queue=queue, reader=owner)
    for act in (
        lambda: case_next(queue=queue, reader=third),
        lambda: case_label(item=item, reader=third, content=SICK),
        lambda: case_skip(item=item, reader=third, reason="known"),
    ):
        error = refusal(act)
        assert (error.code, "named readers" in error.message) == ("forbidden", True)
    assert case_label(item=item, reader=owner, content=SICK).reader == owner
    event = AuditEvent.objects.get(action="label_queue.created")
    assert event.detail["named"] == ["owner", "teammate"]


def test_named_readers_are_enough_people_who_may_label_at_the_site(
    make_queue, scans, owner, outsider, person, site
):
    for named, problem in (([owner], "these are 1"), ([owner, outsider], "outsider may not label")):
        error = refusal(lambda named=named: make_queue(named=named))
        assert (list(error.fields), problem in error.message) == (["named"], True)
    auditor = person("auditor", role="auditor", site=site)
    assert auditor not in readers_at(site)
    assert owner in readers_at(site)
