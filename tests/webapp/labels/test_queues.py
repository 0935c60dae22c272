"""Queues: what is in them and in which order, and that no two readers get in each other's way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests import factories
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.labels.annotation import LabelContent, case_label, queue_close
from webapp.labels.models import LabelQueue, QueueClaim, QueueItem
from webapp.labels.queue_order import in_order, offered_orders, register_drift_score
from webapp.labels.queues import case_extend, case_next, remaining_for
from webapp.monitoring.nonconformity import nonconformity_scores

pytestmark = pytest.mark.django_db

NORMAL = LabelContent({"normal": "present", "pneumonia": "absent"})


def response(scan, **probabilities):
    text = factories.prediction(**probabilities)
    factories.AnalysisFactory(
        scan=scan,
        status="done",
        finding=text.finding or "",
        uncertainty=text.uncertainty,
        probabilities=dict(text.probabilities),
        model_version__status="candidate",
    )


def order_of(queue):
    return [item.scan for item in queue.items.order_by("position")]


def test_a_queue_holds_the_site_s_unlabelled_images_of_its_kind_once_each(site, other_site, make_queue):
    wanted = factories.ScanFactory(site=site)
    factories.ScanFactory(site=site, slot="ct")
    factories.ScanFactory(site=other_site)
    factories.ScanFactory(site=site, duplicate_of=wanted)
    labelled = factories.LabelFactory(scan__site=site).scan
    queue = make_queue()
    assert order_of(queue) == [wanted]
    assert {one.pk for one in order_of(make_queue(name="All", unlabelled=False))} == {wanted.pk, labelled.pk}
    event = AuditEvent.objects.get(subject=f"labels.labelqueue:{queue.pk}")
    assert (event.action, event.detail["scans"], event.detail["readers"]) == ("label_queue.created", 1, 2)


def test_named_scans_are_taken_from_the_own_site_only(site, other_site, make_queue):
    mine, theirs = factories.ScanFactory(site=site), factories.ScanFactory(site=other_site)
    queue = make_queue(scans=[mine.pk, theirs.pk])
    assert order_of(queue) == [mine]
    assert queue.contents["named"] == 1


def test_the_least_certain_comes_first_and_what_has_no_result_last(site, make_queue):
    sure, unsure, without = factories.ScanFactory.create_batch(3, site=site)
    response(sure, pneumonia=0.99, normal=0.01)
    response(unsure, pneumonia=0.5, normal=0.5)
    queue = make_queue(order="uncertainty")
    assert order_of(queue) == [unsure, sure, without]
    assert queue.items.get(scan=without).score is None
    assert order_of(make_queue(name="First", order="uncertainty", at_most=1)) == [unsure]


def test_the_widest_disagreement_of_versions_and_people_comes_first(site, make_queue):
    agree, versions, people = factories.ScanFactory.create_batch(3, site=site)
    for scan, values in ((agree, (0.7, 0.72)), (versions, (0.2, 0.7)), (people, (0.1, 0.1))):
        for value in values:
            response(scan, pneumonia=value)
    factories.LabelFactory(scan=people, findings={"pneumonia": "present"})
    queue = make_queue(order="disagreement", unlabelled=False)
    assert order_of(queue) == [people, versions, agree]
    assert queue.items.get(scan=people).score == pytest.approx(0.9)


def test_chance_depends_on_the_seed_and_nothing_else(scans):
    keys = [scan.pk for scan in scans] + [factories.ScanFactory().pk for _ in range(20)]
    first = in_order(keys, ["normal"], order="random", seed="a")
    assert first == in_order(keys[::-1], ["normal"], order="random", seed="a")
    assert first != in_order(keys, ["normal"], order="random", seed="b")


def test_drift_is_offered_once_something_measures_it(make_queue, scans):
    register_drift_score(None)
    try:
        assert "drift" not in offered_orders()
        with pytest.raises(CodedError) as caught:
            make_queue(order="drift")
        assert caught.value.fields.keys() == {"order"}
        register_drift_score(lambda keys, findings: {scans[1].pk: 3.0, scans[2].pk: 7.0})
        assert offered_orders() == ["uncertainty", "disagreement", "drift", "random"]
        assert order_of(make_queue(order="drift")) == [scans[2], scans[1], scans[0]]
    finally:
        register_drift_score(nonconformity_scores)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("findings", []),
        ("findings", ["normal", "normal"]),
        ("findings", ["Pleural effusion"]),
        ("findings", [f"f{n}" for n in range(10)]),
        ("order", "age"),
        ("readers", 0),
        ("readers", 10),
        ("at_most", 0),
        ("at_most", 5001),
        ("slot", "mr"),
    ],
)
def test_a_queue_that_cannot_be_is_refused_by_field(make_queue, field, value):
    with pytest.raises(CodedError) as caught:
        make_queue(**{field: value})
    assert (caught.value.code, list(caught.value.fields)) == ("invalid", [field])
    assert not LabelQueue.objects.exists()


def test_a_name_is_given_once_a_site(queue, make_queue):
    with pytest.raises(CodedError) as caught:
        make_queue()
    assert list(caught.value.fields) == ["name"]


def test_only_who_may_manage_labels_makes_and_closes_a_queue(queue, owner, site):
    from webapp.labels.queues import queue_create

    text = {"name": "x", "findings": ["normal"], "order": "random", "readers": 1, "at_most": 1}
    for act in (
        lambda: queue_create(site=site, actor=owner, **text),
        lambda: queue_close(queue=queue, actor=owner),
    ):
        with pytest.raises(CodedError) as caught:
            act()
        assert caught.value.code == "forbidden"


def test_a_case_with_one_place_is_handed_to_one_reader(scans, make_queue, owner, teammate, third):
    queue = make_queue(readers=1)
    handed = [case_next(queue=queue, reader=reader) for reader in (owner, teammate, third)]
    assert len({item.pk for item in handed}) == 3
    assert case_next(queue=queue, reader=owner) == handed[0], "the own open case comes first"
    assert remaining_for(queues=[queue], reader=owner)[queue.pk] == 1


def test_a_case_with_two_places_is_handed_to_two_readers(queue, owner, teammate, third):
    first = case_next(queue=queue, reader=owner)
    assert case_next(queue=queue, reader=teammate) == first
    assert case_next(queue=queue, reader=third).position == first.position + 1


def test_a_claim_that_ran_out_gives_its_place_away_and_the_late_label_is_kept(
    scans, make_queue, owner, teammate
):
    queue = make_queue(readers=1)
    item = case_next(queue=queue, reader=owner)
    QueueClaim.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert case_next(queue=queue, reader=teammate) == item
    assert not case_extend(item=item, reader=owner)
    assert case_extend(item=item, reader=teammate)
    case_label(item=item, reader=owner, content=NORMAL)
    case_label(item=item, reader=teammate, content=NORMAL)
    item.refresh_from_db()
    assert (item.done, item.status) == (2, "agreed")


def test_a_reader_is_asked_each_case_once_and_then_reported_that_all_is_done(queue, owner, scans):
    seen = []
    while item := case_next(queue=queue, reader=owner):
        seen.append(item.scan)
        case_label(item=item, reader=owner, content=NORMAL)
    assert {scan.pk for scan in seen} == {scan.pk for scan in scans}
    assert not remaining_for(queues=[queue], reader=owner)
    assert QueueItem.objects.filter(queue=queue, status="waiting", done=1).count() == 3
    assert not QueueClaim.objects.exists()


def test_a_closed_queue_asks_nobody_and_what_was_begun_counts(queue, owner, boss):
    item = case_next(queue=queue, reader=owner)
    case_label(item=item, reader=owner, content=NORMAL)
    queue_close(queue=queue, actor=boss)
    item.refresh_from_db()
    assert item.status == "agreed"
    for act in (
        lambda: case_next(queue=queue, reader=owner),
        lambda: queue_close(queue=queue, actor=boss),
        lambda: case_label(item=queue.items.get(position=2), reader=owner, content=NORMAL),
    ):
        with pytest.raises(CodedError) as caught:
            act()
        assert caught.value.code == "conflict"
    assert not remaining_for(queues=[queue], reader=owner)
    assert AuditEvent.objects.filter(action="label_queue.closed", actor=boss).count() == 1


def test_nobody_without_the_permission_is_handed_a_case(queue, outsider, person, site):
    for reader in (outsider, person("audrey", role="auditor", site=site)):
        with pytest.raises(CodedError) as caught:
            case_next(queue=queue, reader=reader)
        assert caught.value.code == "forbidden"
