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
def add_label(scan):
    """`add_label(ada, pneumonia="present")`: a label of the scan."""

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


def test_what_all_readers_state_is_the_reference(scan, add_label, owner, teammate):
    add_label(owner, pneumonia=PRESENT, normal=ABSENT)
    add_label(teammate, pneumonia=PRESENT, normal=ABSENT)
    assert reference(scan) == {"pneumonia": PRESENT, "normal": ABSENT}


@pytest.mark.parametrize("other", [ABSENT, "uncertain", "unread"])
def test_disagreement_doubt_and_what_was_not_read_leave_it_unknown(scan, add_label, owner, teammate, other):
    add_label(owner, pneumonia=PRESENT, normal=ABSENT)
    add_label(teammate, pneumonia=other, normal=ABSENT)
    assert reference(scan) == {"pneumonia": None, "normal": ABSENT}


def test_what_nobody_was_asked_for_is_not_there_and_not_absent(scan, add_label, owner, teammate):
    add_label(owner, pneumonia=PRESENT)
    add_label(teammate, covid19=ABSENT)
    assert reference(scan) == {"pneumonia": PRESENT, "covid19": ABSENT}
    assert "normal" not in reference(scan)


@pytest.mark.parametrize("mark", ["indeterminate", "unusable"])
def test_a_reader_who_cannot_report_leaves_it_unknown(scan, add_label, owner, teammate, mark):
    add_label(owner, pneumonia=PRESENT)
    add_label(teammate, pneumonia=PRESENT, **{mark: True})
    assert reference(scan) == {"pneumonia": None}


def test_an_adjudication_wins_for_what_it_decides(scan, add_label, owner, teammate, person):
    add_label(owner, pneumonia=PRESENT, normal=ABSENT)
    add_label(teammate, pneumonia=ABSENT, normal=ABSENT)
    first = add_label(person("boss"), source="adjudication", pneumonia=PRESENT, normal="unread")
    assert reference(scan) == {"pneumonia": PRESENT, "normal": ABSENT}
    add_label(person("chief"), source="adjudication", over=first, pneumonia="uncertain", normal="unread")
    assert reference(scan)["pneumonia"] is None


def test_a_queue_counts_once_all_its_readers_have_read_or_it_is_closed(
    scan, add_label, site, owner, teammate
):
    queue = factories.LabelQueueFactory(site=site, readers=2)
    add_label(owner, queue=queue, pneumonia=PRESENT)
    assert reference(scan) == {}
    queue.closed_at = queue.created_at
    queue.save()
    assert reference(scan) == {"pneumonia": PRESENT}
    queue.closed_at = None
    queue.save()
    add_label(teammate, queue=queue, pneumonia=PRESENT)
    assert reference(scan) == {"pneumonia": PRESENT}


def test_a_later_label_stands_and_the_blind_one_is_still_reported(scan, add_label, owner):
    before = add_label(owner, pneumonia=ABSENT)
    add_label(owner, over=before, blind=False, pneumonia=PRESENT)
    assert reference(scan) == {"pneumonia": PRESENT}
    assert reference(scan, blind_only=True) == {"pneumonia": ABSENT}


def test_a_blind_label_corrected_before_anything_was_shown_is_reported_as_corrected(scan, add_label, owner):
    before = add_label(owner, pneumonia=ABSENT)
    add_label(owner, over=before, pneumonia=PRESENT)
    assert reference(scan, blind_only=True) == {"pneumonia": PRESENT}


def test_an_imported_label_is_that_of_who_the_file_names(scan, add_label, owner):
    add_label(owner, source="import", signed_as="history", pneumonia=PRESENT, attributes={"split": "test"})
    assert reference(scan) == {"pneumonia": PRESENT}
    add_label(owner, pneumonia=ABSENT)
    assert reference(scan) == {"pneumonia": None}, "two readers, though one account"
    assert imported_attributes(site=scan.site) == {scan.pk: {"split": "test"}}


def test_only_the_site_s_own_and_the_named_scans_are_reported(scan, add_label, owner, other_site):
    add_label(owner, pneumonia=PRESENT)
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
def test_the_database_itself_refuses_to_change_or_remove_a_label(add_label, owner, act):
    add_label(owner, pneumonia=PRESENT)
    with pytest.raises(DatabaseError, match="never changed or removed"), transaction.atomic():
        connection.cursor().execute(act)
    assert Label.objects.get().comment == ""


def test_a_reader_begins_once_and_supersedes_from_then_on(add_label, owner):
    add_label(owner, pneumonia=PRESENT)
    with pytest.raises(IntegrityError), transaction.atomic():
        add_label(owner, pneumonia=ABSENT)
