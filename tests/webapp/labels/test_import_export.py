"""Labels as CSV: out without harm to a spreadsheet or to anybody's blindness, in again without change."""

from __future__ import annotations

import csv
import io

import pytest

from tests import factories
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.labels.adjudication import adjudicate
from webapp.labels.annotation import LabelContent, case_label, label_add, name_of
from webapp.labels.import_export import COLUMNS, labels_import, labels_to_export, lines
from webapp.labels.models import Label
from webapp.labels.selectors import ground_truth

pytestmark = pytest.mark.django_db


@pytest.fixture
def scan(site):
    return factories.ScanFactory(site=site)


def exported(user, site) -> str:
    return "".join(lines(labels_to_export(user, site)[0]))


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def csv_of(*rows: dict[str, object], head=("sha256", "reader", "present", "absent")) -> bytes:
    head = list(dict.fromkeys([*head, *(key for row in rows for key in row)]))
    out = io.StringIO()
    writer = csv.DictWriter(out, head)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def test_a_label_is_one_line_without_a_patients_name(scan, owner, boss, site):
    box = {"finding": "pneumonia", "x": 1, "y": 2, "width": 30, "height": 40}
    stated = LabelContent(
        {"pneumonia": "present", "normal": "absent", "covid19": "absent"}, 2, [box], '=HYPERLINK("x")'
    )
    label = label_add(scan=scan, reader=owner, content=stated, blind=True)
    text = exported(boss, site)
    (row,) = table(text)
    assert list(row) == list(COLUMNS)
    assert (row["label"], row["scan"], row["sha256"]) == (str(label.pk), str(scan.pk), scan.upload.sha256)
    assert (row["present"], row["absent"], row["confidence"], row["blind"]) == (
        "pneumonia",
        "covid19|normal",
        "2",
        "yes",
    )
    assert row["comment"] == '\'=HYPERLINK("x")'
    assert "not a medical device" in row["notice"]
    assert scan.patient.patient_id not in text
    assert scan.patient.name not in text


def test_what_a_queue_may_still_ask_the_person_for_is_left_out_and_counted(
    queue, owner, teammate, boss, site
):
    item = queue.items.get(position=1)
    case_label(item=item, reader=owner, content=LabelContent({"pneumonia": "present"}))
    reported, left = labels_to_export(boss, site)
    assert (reported.count(), left) == (0, 1)
    case_label(item=item, reader=teammate, content=LabelContent({"pneumonia": "present"}))
    reported, left = labels_to_export(boss, site)
    assert (reported.count(), left) == (2, 0)


def test_the_export_hides_the_readers_of_a_case_that_is_not_decided(
    make_queue, scans, owner, teammate, boss, site
):
    item = make_queue().items.get(position=1)
    case_label(item=item, reader=owner, content=LabelContent({"pneumonia": "present"}))
    case_label(item=item, reader=teammate, content=LabelContent({"pneumonia": "absent"}))
    assert [row["reader"] for row in table(exported(boss, site))] == ["Reader 1", "Reader 2"]
    assert {row["reader"] for row in table(exported(owner, site))} == {name_of(owner), "Reader 1"}
    decided = LabelContent({"pneumonia": "present"})
    adjudicate(item=item, actor=boss, content=decided, reason="Consolidation.", after=None)
    assert {name_of(owner), name_of(teammate)} < {row["reader"] for row in table(exported(boss, site))}


def test_what_was_exported_comes_in_elsewhere_and_again_without_change(
    scan, owner, boss, site, other_site, person
):
    box = {"finding": "pneumonia", "x": 1.5, "y": 2, "width": 30, "height": 40}
    first = label_add(scan=scan, reader=owner, content=LabelContent({"pneumonia": "absent"}, comment="-1"))
    label_add(
        scan=scan,
        reader=owner,
        content=LabelContent({"pneumonia": "present"}, 3, [box], "+ left"),
        after=first.pk,
    )
    data = exported(boss, site).encode()
    assert labels_import(site=site, actor=boss, data=data).counts == {"unchanged": 2}
    assert Label.objects.count() == 2

    same = factories.ScanFactory(site=other_site, upload__sha256=scan.upload.sha256)
    chief = person("chief", role="admin", site=other_site)
    assert labels_import(site=other_site, actor=chief, data=data).counts == {"skipped": 1, "new": 1}
    label = Label.objects.get(site=other_site)
    assert (label.scan, label.source, label.signed_as, label.reader) == (same, "import", "owner", chief)
    assert (label.comment, label.confidence, label.regions[0]["x"]) == ("+ left", 3, 1.5)
    assert labels_import(site=other_site, actor=chief, data=data).counts == {"skipped": 1, "unchanged": 1}
    assert ground_truth(site=other_site) == {same.pk: {"pneumonia": "present"}}


def test_another_word_of_the_same_reader_supersedes_the_earlier_one(scan, boss, site):
    rows = [
        {"sha256": scan.upload.sha256, "reader": "Dr A", word: "pneumonia"} for word in ("present", "absent")
    ]
    for row, counts in zip(rows, ({"new": 1}, {"changed": 1}), strict=True):
        assert labels_import(site=site, actor=boss, data=csv_of(row)).counts == counts
    assert Label.objects.get(superseded_by=None).supersedes.findings == {"pneumonia": "present"}
    events = AuditEvent.objects.filter(action="labels.imported").order_by("created_at")
    assert [event.detail for event in events] == [{"new": 1, "changed": 0}, {"new": 0, "changed": 1}]


def test_a_dry_run_states_per_line_what_is_wrong_and_does_nothing(scan, boss, site, other_site):
    good = {"sha256": scan.upload.sha256, "reader": "Dr A", "present": "pneumonia"}
    elsewhere = factories.ScanFactory(site=other_site)
    wrong = [
        good | {"reader": "B", "sha256": "0" * 64},
        good | {"reader": "B", "sha256": "", "scan": str(elsewhere.pk)},
        good | {"reader": "C", "absent": "pneumonia"},
        good | {"reader": "D", "present": "Lungs!"},
        good | {"reader": "E", "present": "normal|pneumonia"},
        good | {"reader": "F", "confidence": "9"},
        good | {"reader": "G", "regions": "[1]"},
        good | {"reader": "H", "unusable": "perhaps"},
        good | {"reader": "I", "present": ""},
        good | {"present": "", "absent": "pneumonia"},
    ]
    for dry_run in (True, False):
        report = labels_import(site=site, actor=boss, data=csv_of(good, *wrong), dry_run=dry_run)
        assert [problem.line for problem in report.errors] == list(range(3, 13))
        assert (report.error_count, report.counts["new"]) == (10, 1)
    assert "No image of this site" in report.errors[0].text
    assert "pneumonia is both present and absent" in report.errors[2].text
    assert not Label.objects.exists(), "all or nothing"
    assert not AuditEvent.objects.filter(action="labels.imported").exists()
    assert labels_import(site=site, actor=boss, data=csv_of(good), dry_run=True).counts == {"new": 1}
    assert not Label.objects.exists()


def test_a_quotation_mark_that_is_not_closed_is_an_invalid_line(boss, site):
    report = labels_import(site=site, actor=boss, data=b'sha256,present\n"x', name="labels.csv")
    (problem,) = report.errors
    assert problem.at("labels.csv") == 'labels.csv, line 2: the quotation mark is not closed: “"x”'


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a\x00b", b""])
def test_what_is_no_table_is_refused(boss, site, data):
    with pytest.raises(CodedError) as caught:
        labels_import(site=site, actor=boss, data=data)
    assert caught.value.code == "invalid"


def test_only_who_may_manage_labels_brings_them_in(owner, site):
    with pytest.raises(CodedError) as caught:
        labels_import(site=site, actor=owner, data=b"")
    assert caught.value.code == "forbidden"


def test_many_lines_cost_no_more_questions_than_one(boss, site, django_assert_max_num_queries):
    scans = factories.ScanFactory.create_batch(40, site=site)
    data = csv_of(*({"sha256": scan.upload.sha256, "present": "pneumonia"} for scan in scans))
    with django_assert_max_num_queries(14):
        assert labels_import(site=site, actor=boss, data=data).counts == {"new": 40}
