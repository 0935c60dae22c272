"""Labels: blind first, the change of mind next to it, decisions over both, and nobody's eyes spoilt."""

from __future__ import annotations

import pytest

from tests import factories
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.labels.adjudication import adjudicate, disputed_for
from webapp.labels.annotation import LabelContent, case_label, label_add, own_label
from webapp.labels.models import Label, QueueItem
from webapp.labels.queue_progress import (
    agreement_of,
    labels_visible,
    queues_visible,
    readers_of,
)
from webapp.labels.queues import case_next
from webapp.labels.readings import reading_sign
from webapp.labels.selectors import ground_truth

pytestmark = pytest.mark.django_db

SICK = LabelContent({"normal": "absent", "pneumonia": "present"}, confidence=2)
WELL = LabelContent({"normal": "present", "pneumonia": "absent"}, confidence=3)


@pytest.fixture
def item(queue):
    return queue.items.get(position=1)


@pytest.fixture
def analysis(item):
    return factories.AnalysisFactory(scan=item.scan, status="done", probabilities={"pneumonia": 0.8})


def test_the_first_label_is_blind_and_the_change_of_mind_names_what_was_shown(item, owner, analysis):
    first = case_label(item=item, reader=owner, content=WELL)
    assert (first.blind, first.shown_analysis, first.supersedes) == (True, None, None)
    second = case_label(item=item, reader=owner, content=SICK, after=first.pk)
    assert (second.blind, second.shown_analysis, second.supersedes) == (False, analysis, first)
    assert own_label(item, owner) == second
    events = AuditEvent.objects.filter(action="label.created").order_by("created_at")
    assert [event.detail["blind"] for event in events] == [True, False]
    assert events[0].detail["scan"] == str(item.scan_id)


def test_a_lost_result_is_asked_for_again_and_nothing_is_given_twice(item, owner):
    first = case_label(item=item, reader=owner, content=SICK)
    assert case_label(item=item, reader=owner, content=SICK) == first
    for text, after in ((WELL, None), (SICK, item.pk)):
        with pytest.raises(CodedError) as caught:
            case_label(item=item, reader=owner, content=text, after=after)
        assert caught.value.code == "conflict"
    assert Label.objects.count() == 1


def test_who_signed_a_reading_of_it_is_not_blind(item, owner, analysis):
    reading_sign(study=item.scan.study, actor=owner, findings=["normal"])
    label = case_label(item=item, reader=owner, content=SICK)
    assert (label.blind, label.shown_analysis) == (False, analysis)


def test_what_was_asked_and_not_stated_is_unread(item, owner):
    label = case_label(item=item, reader=owner, content=LabelContent({"pneumonia": "present"}))
    assert label.findings == {"normal": "unread", "pneumonia": "present"}


def test_boxes_comment_and_marks_are_kept(item, owner):
    box = {"finding": "pneumonia", "x": 10.04, "y": 20, "width": 100, "height": 60}
    text = LabelContent(
        {"normal": "absent", "pneumonia": "uncertain"},
        regions=[box],
        comment=" left\r\nbase ",
        unusable=True,
    )
    label = case_label(item=item, reader=owner, content=text)
    label.refresh_from_db()
    assert label.regions == [{"finding": "pneumonia", "x": 10.0, "y": 20.0, "width": 100.0, "height": 60.0}]
    assert (label.comment, label.unusable, label.indeterminate) == ("left\nbase", True, False)
    assert case_label(item=item, reader=owner, content=text) == label, "sent again it is the same"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("findings", {"findings": {}}),
        ("findings", {"findings": {"pneumonia": "unread"}}),
        ("findings", {"findings": {"pneumonia": "maybe"}}),
        ("findings", {"findings": {"covid19": "present"}}),
        ("findings", {"findings": {"normal": "present", "pneumonia": "present"}}),
        ("confidence", {"confidence": 4}),
        ("comment", {"comment": "x" * 2001}),
        ("comment", {"comment": "a\x00"}),
        ("regions", {"regions": [{"finding": "pneumonia", "x": 500, "y": 0, "width": 20, "height": 20}]}),
        ("regions", {"regions": [{"finding": "pneumonia", "x": -1, "y": 0, "width": 20, "height": 20}]}),
        ("regions", {"regions": [{"finding": "pneumonia", "x": 0, "y": 0, "width": 0.5, "height": 20}]}),
        (
            "regions",
            {"regions": [{"finding": "pneumonia", "x": 0, "y": 0, "width": float("nan"), "height": 2}]},
        ),
        ("regions", {"regions": [{"finding": "pneumonia", "x": True, "y": 0, "width": 2, "height": 2}]}),
        ("regions", {"regions": [{"finding": "normal", "x": 0, "y": 0, "width": 2, "height": 2}]}),
        ("regions", {"regions": [{"finding": "pneumonia", "x": 0, "y": 0, "width": 2, "height": 2}] * 21}),
        ("regions", {"regions": [{"finding": "pneumonia"}]}),
    ],
)
def test_what_cannot_be_stated_is_refused_by_field(item, owner, field, changes):
    text = {"findings": {"normal": "absent", "pneumonia": "present"}} | changes
    with pytest.raises(CodedError) as caught:
        case_label(item=item, reader=owner, content=LabelContent(**text))
    assert (caught.value.code, list(caught.value.fields)) == ("invalid", [field])
    assert not Label.objects.exists()


def test_an_outsider_labels_nothing(item, outsider):
    for act in (
        lambda: case_label(item=item, reader=outsider, content=SICK),
        lambda: label_add(scan=item.scan, reader=outsider, content=SICK),
        lambda: adjudicate(item=item, actor=outsider, content=SICK, reason="x"),
    ):
        with pytest.raises(CodedError) as caught:
            act()
        assert caught.value.code == "forbidden"


def test_readers_who_agree_settle_a_case_and_who_do_not_wait_for_a_decision(queue, owner, teammate, boss):
    agreed, disputed, waiting = queue.items.order_by("position")
    for item, words in ((agreed, (SICK, SICK)), (disputed, (SICK, WELL)), (waiting, (SICK,))):
        for reader, text in zip((owner, teammate), words, strict=False):
            case_label(item=item, reader=reader, content=text)
    assert list(disputed_for(queue, boss)) == [disputed]
    reported = queues_visible(boss).get()
    assert (reported.images, reported.agreed, reported.disputed, reported.waiting, reported.settled) == (
        3,
        1,
        1,
        1,
        0,
    )
    assert [(one.reader, one.labelled, one.changed) for one in readers_of(queue)] == [
        (owner, 3, 0),
        (teammate, 2, 0),
    ]
    with pytest.raises(CodedError) as caught:
        adjudicate(item=waiting, actor=boss, content=SICK, reason="seen")
    assert caught.value.code == "conflict"
    decision = adjudicate(item=disputed, actor=boss, content=SICK, reason="follow-up CT")
    disputed.refresh_from_db()
    assert (disputed.status, decision.source, decision.reason) == ("settled", "adjudication", "follow-up CT")
    assert ground_truth(site=queue.site) == {
        agreed.scan_id: SICK.findings,
        disputed.scan_id: SICK.findings,
        waiting.scan_id: {},
    }
    event = AuditEvent.objects.get(action="label.adjudicated")
    assert "CT" not in str(event.detail)


def test_a_decision_needs_a_reason_every_finding_and_the_last_decision(queue, owner, teammate, boss):
    item = queue.items.get(position=1)
    case_label(item=item, reader=owner, content=SICK)
    case_label(item=item, reader=teammate, content=WELL)
    for text, reason, code in (
        (SICK, " ", "reason_missing"),
        (SICK, "x" * 501, "invalid"),
        (LabelContent({"pneumonia": "present"}), "x", "invalid"),
        (LabelContent({"pneumonia": "present", "normal": "unread"}), "x", "invalid"),
    ):
        with pytest.raises(CodedError) as caught:
            adjudicate(item=item, actor=boss, content=text, reason=reason)
        assert caught.value.code == code
    with pytest.raises(CodedError) as caught:
        adjudicate(item=item, actor=owner, content=SICK, reason="x")
    assert caught.value.code == "forbidden"
    first = adjudicate(item=item, actor=boss, content=SICK, reason="x")
    with pytest.raises(CodedError) as caught:
        adjudicate(item=item, actor=boss, content=WELL, reason="x")
    assert caught.value.code == "conflict"
    assert adjudicate(item=item, actor=boss, content=WELL, reason="x", after=first.pk).supersedes == first


def test_others_labels_are_reported_only_to_who_will_not_be_asked(
    queue, owner, teammate, third, boss, outsider
):
    item = queue.items.get(position=1)
    label = case_label(item=item, reader=owner, content=SICK)
    imported = factories.LabelFactory(scan=item.scan, reader=boss, source="import", signed_as="history")
    assert set(labels_visible(owner)) == {label, imported}
    for reader in (teammate, third, boss):
        assert not labels_visible(reader).exists(), "not even to the one who brought it in"
    theirs = case_label(item=item, reader=teammate, content=SICK)
    for reader in (owner, teammate, third, boss):
        assert set(labels_visible(reader)) == {label, theirs, imported}, "it asks nobody any more"
    assert not labels_visible(outsider).exists()


def test_a_label_outside_of_queues_supersedes_the_own_one_only(owner, teammate, scans, analysis):
    scan = scans[0]
    first = label_add(scan=scan, reader=owner, content=LabelContent({"covid19": "present"}), blind=True)
    assert (first.blind, first.queue) == (True, None)
    assert (
        label_add(scan=scan, reader=owner, content=LabelContent({"covid19": "present"}), blind=True) == first
    )
    with pytest.raises(CodedError) as caught:
        label_add(scan=scan, reader=owner, content=LabelContent({"covid19": "absent"}))
    assert caught.value.code == "conflict"
    second = label_add(scan=scan, reader=owner, content=LabelContent({"covid19": "absent"}), after=first.pk)
    assert (second.supersedes, second.blind) == (first, False)
    label_add(scan=scan, reader=teammate, content=LabelContent({"covid19": "absent"}))
    assert ground_truth(site=scan.site)[scan.pk] == {"covid19": "absent"}


def test_agreement_is_that_of_the_blind_labels(queue, owner, teammate):
    for text in (SICK, WELL, SICK):
        item = case_next(queue=queue, reader=owner)
        case_label(item=item, reader=owner, content=text)
        label = case_label(item=item, reader=teammate, content=text)
        if text is WELL:
            case_label(item=item, reader=teammate, content=SICK, after=label.pk)
    reported = {one.finding: one for one in agreement_of(queue)}
    assert (reported["pneumonia"].overall.value, reported["pneumonia"].overall.images) == (1.0, 3)
    ((one, other, kappa),) = reported["pneumonia"].pairs
    assert ({one, other}, kappa.value) == ({owner, teammate}, 1.0)
    assert QueueItem.objects.filter(status="disputed").count() == 1, "the last words differ"


def test_a_queue_with_one_reader_an_image_has_no_agreement_to_report(scans, make_queue, owner):
    queue = make_queue(readers=1)
    case_label(item=queue.items.get(position=1), reader=owner, content=SICK)
    assert agreement_of(queue)[0].overall.value is None
