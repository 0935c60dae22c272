"""The reference label of a scan: what was decided, else what the readers agree on, else unknown."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from tests import factories
from webapp.labels.models import Label, LabelSource
from webapp.labels.selectors import ground_truth, imported_attributes

pytestmark = pytest.mark.django_db

PRESENT, ABSENT = "present", "absent"


@pytest.fixture
def scan(site):
    return factories.ScanFactory(site=site)


@pytest.fixture
def say(scan):
    """`say(ada, pneumonia="present")`: a label of the scan."""

    def label(reader, *, over=None, queue=None, source="reader", **rest):
        columns = {
            k: rest.pop(k)
            for k in ("indeterminate", "unusable", "blind", "attributes", "signed_as")
            if k in rest
        }
        return factories.LabelFactory(
            scan=scan,
            reader=reader,
            findings=rest,
            supersedes=over,
            queue=queue,
            source=source,
            reason="seen together" if source == LabelSource.ADJUDICATION else "",
            **columns,
        )

    return label


def reference(scan, **options):
    return ground_truth(site=scan.site, **options).get(scan.pk)


def test_what_all_readers_say_is_the_reference(scan, say, owner, teammate):
    say(owner, pneumonia=PRESENT, normal=ABSENT)
    say(teammate, pneumonia=PRESENT, normal=ABSENT)
    assert reference(scan) == {"pneumonia": PRESENT, "normal": ABSENT}


@pytest.mark.parametrize("other", [ABSENT, "uncertain", "unread"])
def test_disagreement_doubt_and_what_was_not_read_leave_it_unknown(scan, say, owner, teammate, other):
    say(owner, pneumonia=PRESENT, normal=ABSENT)
    say(teammate, pneumonia=other, normal=ABSENT)
    assert reference(scan) == {"pneumonia": None, "normal": ABSENT}


def test_what_nobody_was_asked_for_is_not_there_and_not_absent(scan, say, owner, teammate):
    say(owner, pneumonia=PRESENT)
    say(teammate, covid19=ABSENT)
    assert reference(scan) == {"pneumonia": PRESENT, "covid19": ABSENT}
    assert "normal" not in reference(scan)


@pytest.mark.parametrize("mark", ["indeterminate", "unusable"])
def test_a_reader_who_cannot_tell_leaves_it_unknown(scan, say, owner, teammate, mark):
    say(owner, pneumonia=PRESENT)
    say(teammate, pneumonia=PRESENT, **{mark: True})
    assert reference(scan) == {"pneumonia": None}


def test_an_adjudication_wins_for_what_it_decides(scan, say, owner, teammate, person):
    say(owner, pneumonia=PRESENT, normal=ABSENT)
    say(teammate, pneumonia=ABSENT, normal=ABSENT)
    first = say(person("boss"), source="adjudication", pneumonia=PRESENT, normal="unread")
    assert reference(scan) == {"pneumonia": PRESENT, "normal": ABSENT}
    say(person("chief"), source="adjudication", over=first, pneumonia="uncertain", normal="unread")
    assert reference(scan)["pneumonia"] is None


def test_a_queue_counts_once_all_its_readers_have_read_or_it_is_closed(scan, say, site, owner, teammate):
    queue = factories.LabelQueueFactory(site=site, readers=2)
    say(owner, queue=queue, pneumonia=PRESENT)
    assert reference(scan) == {}
    queue.closed_at = queue.created_at
    queue.save()
    assert reference(scan) == {"pneumonia": PRESENT}
    queue.closed_at = None
    queue.save()
    say(teammate, queue=queue, pneumonia=PRESENT)
    assert reference(scan) == {"pneumonia": PRESENT}


def test_a_later_label_stands_and_the_blind_one_is_still_told(scan, say, owner):
    before = say(owner, pneumonia=ABSENT)
    say(owner, over=before, blind=False, pneumonia=PRESENT)
    assert reference(scan) == {"pneumonia": PRESENT}
    assert reference(scan, blind_only=True) == {"pneumonia": ABSENT}


def test_a_blind_label_corrected_before_anything_was_shown_is_told_as_corrected(scan, say, owner):
    before = say(owner, pneumonia=ABSENT)
    say(owner, over=before, pneumonia=PRESENT)
    assert reference(scan, blind_only=True) == {"pneumonia": PRESENT}


def test_an_imported_label_is_that_of_whom_the_file_names(scan, say, owner):
    say(owner, source="import", signed_as="history", pneumonia=PRESENT, attributes={"split": "test"})
    assert reference(scan) == {"pneumonia": PRESENT}
    say(owner, pneumonia=ABSENT)
    assert reference(scan) == {"pneumonia": None}, "two readers, though one account"
    assert imported_attributes(site=scan.site) == {scan.pk: {"split": "test"}}


def test_only_the_site_s_own_and_the_named_scans_are_told(scan, say, owner, other_site):
    say(owner, pneumonia=PRESENT)
    elsewhere = factories.LabelFactory(scan__site=other_site)
    assert set(ground_truth(site=scan.site)) == {scan.pk}
    assert set(ground_truth(site=other_site)) == {elsewhere.scan_id}
    assert ground_truth(site=scan.site, scans=[elsewhere.scan_id]) == {}


def test_a_hundred_scans_cost_two_questions(site, owner, django_assert_num_queries):
    for scan in factories.ScanFactory.create_batch(5, site=site):
        factories.LabelFactory(scan=scan, reader=owner)
    with django_assert_num_queries(2):
        assert len(ground_truth(site=site)) == 5


@pytest.mark.parametrize("act", ["UPDATE labels_label SET comment = 'other'", "DELETE FROM labels_label"])
def test_the_database_itself_refuses_to_change_or_remove_a_label(say, owner, act):
    say(owner, pneumonia=PRESENT)
    with pytest.raises(DatabaseError, match="never changed or removed"), transaction.atomic():
        connection.cursor().execute(act)
    assert Label.objects.get().comment == ""


def test_a_reader_begins_once_and_supersedes_from_then_on(say, owner):
    say(owner, pneumonia=PRESENT)
    with pytest.raises(IntegrityError), transaction.atomic():
        say(owner, pneumonia=ABSENT)
