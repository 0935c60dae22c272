"""Who decides a case has not read it, is asked only what differs, and does not know whose label is whose."""

from __future__ import annotations

import pytest

from webapp.core.errors import CodedError
from webapp.labels.adjudication import adjudicate, disputed_for, findings_to_decide, to_decide
from webapp.labels.annotation import LabelContent, case_label, queue_close
from webapp.labels.models import Label
from webapp.labels.queue_progress import labels_of, labels_visible

pytestmark = pytest.mark.django_db


@pytest.fixture
def chief(person, site):
    """A second person who may decide."""
    return person("chief", role="admin", site=site)


@pytest.fixture
def item(scans, make_queue, owner, boss):
    """Pneumonia is disputed by `owner` and `boss`, who agree on effusion; both left nodule unread."""
    queue = make_queue(findings=["normal", "pneumonia", "effusion", "nodule"])
    item = queue.items.get(position=1)
    shared = {"normal": "absent", "effusion": "present"}
    case_label(item=item, reader=owner, content=LabelContent(shared | {"pneumonia": "present"}))
    case_label(item=item, reader=boss, content=LabelContent(shared | {"pneumonia": "absent"}))
    item.refresh_from_db()
    return item


def decide(item, actor, after=None, **findings):
    return adjudicate(item=item, actor=actor, content=LabelContent(findings), reason="CT", after=after)


def test_a_reader_of_the_case_is_not_offered_it_and_cannot_decide_it(item, boss, chief):
    assert list(disputed_for(item.queue, boss)) == []
    assert to_decide([item.queue], boss) == {}
    with pytest.raises(CodedError) as caught:
        decide(item, boss, pneumonia="present")
    assert (caught.value.code, caught.value.status) == ("adjudicator_is_reader", 403)
    assert list(disputed_for(item.queue, chief)) == [item]
    assert to_decide([item.queue], chief) == {item.queue.pk: 1}
    assert decide(item, chief, pneumonia="present").reader == chief


def test_only_what_differs_is_asked_and_the_rest_is_what_the_readers_agree_on(item, chief):
    assert findings_to_decide(item.queue.findings, labels_of(item)) == ["pneumonia"]
    decision = decide(item, chief, pneumonia="uncertain")
    assert decision.findings == {
        "normal": "absent",
        "pneumonia": "uncertain",
        "effusion": "present",
        "nodule": "unread",
    }


@pytest.mark.parametrize(
    "findings",
    [{}, {"effusion": "present"}, {"pneumonia": "present", "effusion": "absent"}, {"pneumonia": "unread"},
     {"pneumonia": "present", "cardiomegaly": "present"}],
)  # fmt: skip
def test_what_the_readers_agree_on_cannot_be_decided_otherwise(item, chief, findings):
    with pytest.raises(CodedError) as caught:
        decide(item, chief, **findings)
    assert (caught.value.code, list(caught.value.fields)) == ("invalid", ["findings"])
    assert not Label.objects.filter(source="adjudication").exists()


def test_normal_is_decided_too_where_it_could_contradict(make_queue, scans, owner, teammate, boss):
    item = make_queue().items.get(position=1)
    case_label(item=item, reader=owner, content=LabelContent({"normal": "present", "pneumonia": "absent"}))
    unsure = LabelContent({"normal": "present", "pneumonia": "uncertain"})
    case_label(item=item, reader=teammate, content=unsure)
    assert findings_to_decide(item.queue.findings, labels_of(item)) == ["normal", "pneumonia"]
    item.refresh_from_db()
    assert decide(item, boss, normal="absent", pneumonia="present").findings["normal"] == "absent"


def test_all_findings_are_asked_where_none_differs(make_queue, scans, owner, boss):
    item = make_queue().items.get(position=1)
    case_label(item=item, reader=owner, content=LabelContent({"normal": "absent", "pneumonia": "present"}))
    queue_close(queue=item.queue, actor=boss)
    assert findings_to_decide(item.queue.findings, labels_of(item)) == ["normal", "pneumonia"]


def test_the_names_of_the_readers_are_hidden_until_the_case_is_decided(item, owner, chief):
    hidden = {label.reader.username: label.hides_reader for label in labels_visible(chief)}
    assert hidden == {"owner": True, "boss": True}
    assert [label.hides_reader for label in labels_visible(owner).filter(reader=owner)] == [False]
    decide(item, chief, pneumonia="present")
    assert not any(label.hides_reader for label in labels_visible(chief))
