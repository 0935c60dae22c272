"""Creating snapshots: what goes in, who stays in which part, and that it stays so."""

from __future__ import annotations

import csv

import pytest
from django.db import DatabaseError, transaction

from tests.factories import LabelFactory, ModelVersionFactory, PatientFactory, ScanFactory, StudyFactory
from webapp.analysis.stored_files.check import check
from webapp.audit.models import AuditEvent
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.scans.models import Scan
from webapp.training.data_set import settled
from webapp.training.models import DataValidation, PatientSplit, Snapshot
from webapp.training.models import TestSetScan as ScanOnceTested
from webapp.training.selectors import snapshot_or_404, snapshots_visible
from webapp.training.snapshots import snapshot_create, validation_done

pytestmark = pytest.mark.django_db
FINDINGS = ("normal", "pneumonia")


@pytest.fixture
def admin(person, site):
    return person("admin", role="admin", site=site)


@pytest.fixture
def labelled(site):
    """Makes labelled scans, one a patient: `labelled(pneumonia=5, normal=5)`."""

    def make(patient=None, attributes=None, blind=True, **counts) -> list[Scan]:
        scans = []
        for finding, count in counts.items():
            for _ in range(count):
                owner = patient or PatientFactory(site=site)
                scan = ScanFactory(site=site, series__study=StudyFactory(patient=owner))
                words = {f: "present" if f == finding else "absent" for f in FINDINGS}
                LabelFactory(scan=scan, findings=words, attributes=attributes or {}, blind=blind,
                             source="import" if attributes else "reader")  # fmt: skip
                scans.append(scan)
        return scans

    return make


@pytest.fixture
def freeze(admin, site):
    return lambda **asked: snapshot_create(**{"site": site, "slot": "cxr", "actor": admin, **asked})


def lines(snapshot: Snapshot) -> list[dict[str, str]]:
    with storage.path_of(snapshot.stored_name).open() as file:
        return list(csv.DictReader(file))


def test_no_cell_of_a_snapshot_is_a_formula(labelled, freeze):
    labelled(attributes={"source": "=HYPERLINK(1)", "view": "@SUM(1)", "sex": "+1"}, pneumonia=8, normal=8)
    cells = [cell for line in lines(freeze()[0]) for cell in line.values()]
    assert "'=HYPERLINK(1)" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def parts(snapshot: Snapshot) -> dict[str, str]:
    return {line["patient"]: line["split"] for line in lines(snapshot)}


def code_of(call, *args, **kwargs) -> str:
    with pytest.raises(CodedError) as caught:
        call(*args, **kwargs)
    return caught.value.code


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"normal": "absent", "pneumonia": "present"}, (("pneumonia",), "")),
        ({"pneumonia": "present"}, (("pneumonia",), "")),
        ({"normal": None, "pneumonia": "present"}, ((), "unsettled")),
        ({"normal": "absent", "pneumonia": None}, ((), "unsettled")),
        ({"normal": "present", "pneumonia": "present"}, ((), "several")),
        ({"normal": "absent", "pneumonia": "absent"}, ((), "none_of_them")),
        ({"other": "present"}, ((), "none_of_them")),
    ],
)
def test_unknown_is_not_absent(stated, expected):
    assert settled(stated, FINDINGS) == expected


def test_a_snapshot_holds_settled_scans_under_names_that_state_nothing(labelled, freeze, site):
    scans = labelled(pneumonia=12, normal=12)
    open_scan = labelled(normal=1)[0]
    LabelFactory(scan=open_scan, findings={"normal": "absent", "pneumonia": "present"})
    snapshot, made = freeze()
    assert made
    assert snapshot.findings == ["normal", "pneumonia"]
    assert (snapshot.counts["images"], snapshot.counts["left_out"]) == (24, {"unsettled": 1})
    stated = lines(snapshot)
    assert {line["sha256"] for line in stated} == {scan.working_sha256 for scan in scans}
    assert {line["finding"] for line in stated} == set(FINDINGS)
    text = storage.path_of(snapshot.stored_name).read_text()
    for scan in scans:
        assert scan.patient.patient_id not in text
        assert scan.patient.name not in text
        assert str(scan.patient.pk) not in text
    folder = storage.path_of(snapshot.stored_name).parent
    paths = {(folder / line["image"]).resolve() for line in stated}
    assert paths == {storage.path_of(scan.working_name).resolve() for scan in scans}
    assert {line["source"] for line in stated} == {site.slug}
    assert all(snapshot.counts["parts"][part]["images"] for part in ("train", "val", "test"))


def test_the_same_labels_are_the_same_snapshot(labelled, freeze):
    labelled(pneumonia=5, normal=5)
    first, made = freeze()
    again, made_again = freeze()
    assert (first, made, made_again) == (again, True, False)
    assert DataValidation.objects.count() == AuditEvent.objects.filter(action="snapshot.created").count() == 1


def test_a_patient_keeps_name_and_part_however_much_comes(labelled, freeze):
    labelled(pneumonia=10, normal=10)
    before = parts(freeze()[0])
    labelled(pneumonia=17, normal=3)
    after = parts(freeze()[0])
    assert {name: after[name] for name in before} == before
    assert len(after) == 40


def test_a_scan_of_the_test_part_takes_whoever_it_is_filed_to_with_it(labelled, freeze, site):
    scans = labelled(pneumonia=10, normal=10)
    freeze()
    tested = Scan.objects.filter(test_set_entry__isnull=False).first()
    learned = next(scan for scan in scans if scan.patient.split_assignment.part == "train")
    Scan.objects.filter(pk=tested.pk).update(series=learned.series)
    snapshot, _ = freeze()
    name = PatientSplit.objects.get(patient=learned.patient)
    assert name.part == "test"
    assert [line["split"] for line in lines(snapshot) if line["patient"] == name.pseudonym] == ["test"] * 2


def test_nobody_leaves_the_test_part_and_no_snapshot_changes(labelled, freeze):
    labelled(pneumonia=10, normal=10)
    snapshot, _ = freeze()
    for change in (
        lambda: PatientSplit.objects.filter(part="test").update(part="train"),
        lambda: Snapshot.objects.filter(pk=snapshot.pk).update(fingerprint="x"),
        lambda: Snapshot.objects.filter(pk=snapshot.pk)._raw_delete("default"),
        lambda: ScanOnceTested.objects.all()._raw_delete("default"),
    ):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
            change()


def test_a_split_that_an_imported_manifest_brings_is_kept(labelled, freeze):
    labelled(
        pneumonia=3, normal=3, attributes={"split": "test", "source": "elsewhere", "age": 63, "sex": "F"}
    )
    labelled(pneumonia=3, normal=3, attributes={"split": "val"})
    snapshot, _ = freeze()
    assert {name: part["images"] for name, part in snapshot.counts["parts"].items()} == {
        "train": 0, "val": 6, "test": 6,
    }  # fmt: skip
    line = next(line for line in lines(snapshot) if line["split"] == "test")
    assert (line["source"], line["age"], line["sex"]) == ("elsewhere", "63", "F")


def test_what_was_labelled_after_the_model_was_shown_tests_no_model(labelled, freeze):
    labelled(pneumonia=10, normal=10)
    first, _ = freeze()
    patient = Scan.objects.filter(test_set_entry__isnull=False).first().patient
    labelled(patient=patient, pneumonia=1, blind=False)
    trained = labelled(pneumonia=3, normal=3, blind=False)
    snapshot, _ = freeze()
    assert snapshot.counts["left_out"] == {"not_blind": 1}
    assert snapshot.counts["parts"]["test"]["images"] == first.counts["parts"]["test"]["images"]
    learned = " ".join(line["image"] for line in lines(snapshot) if line["split"] == "train")
    assert all(str(scan.pk) in learned for scan in trained)


def test_findings_are_those_of_the_active_model_as_far_as_anybody_found_them(labelled, freeze):
    ModelVersionFactory()  # covid19, pneumonia, normal
    labelled(pneumonia=5, normal=5)
    assert freeze()[0].findings == ["pneumonia", "normal"]


def test_only_who_may_train_freezes_and_only_their_people_see_it(
    labelled, freeze, owner, outsider, person, other_site
):
    assert code_of(freeze) == "nothing_labelled"
    labelled(pneumonia=5, normal=5)
    assert code_of(freeze, actor=owner) == "forbidden"
    assert code_of(freeze, actor=person("far", role="admin", site=other_site)) == "forbidden"
    snapshot, _ = freeze()
    assert snapshot_or_404(owner, snapshot.pk) == snapshot
    assert code_of(snapshot_or_404, outsider, snapshot.pk) == "not_found"
    assert not snapshots_visible(outsider).exists()


def test_one_of_all_sites_holds_all(labelled, freeze, other_site):
    labelled(pneumonia=5)
    far = ScanFactory(site=other_site)
    LabelFactory(scan=far, findings={"pneumonia": "present"})
    snapshot, _ = freeze(site=None)
    assert {line["source"] for line in lines(snapshot)} == {"st-anna", "harbour"}


def test_the_audits_warnings_are_kept_with_a_trace_and_the_store_knows_the_manifest(labelled, freeze):
    labelled(pneumonia=5, normal=5)
    snapshot, _ = freeze()
    validation = next(iter(DataValidation.objects.claim()), None)
    assert validation.snapshot == snapshot
    warning = {"code": "tiny_finding", "severity": "high", "text": "t", "advice": "a", "numbers": {}}
    assert validation_done(validation=validation, warnings=[warning])
    assert Snapshot.objects.get().validation.warnings == [warning]
    event = AuditEvent.objects.get(action="snapshot.validated")
    assert event.detail == {"warnings": ["tiny_finding"]}
    assert next(iter(DataValidation.objects.claim()), None) is None
    assert snapshot.stored_name not in check(grace_seconds=0).orphaned
    storage.path_of(snapshot.stored_name).write_text("other")
    assert snapshot.stored_name in check(deep=True).damaged
