"""Merging and unmerging keep the worklist true, also while files come in and scans are moved."""

from __future__ import annotations

import itertools
from functools import partial

import pytest

from tests.factories import PatientFactory, ScanFactory, StudyFactory, UploadFactory, parsed
from tests.threads import in_threads
from webapp.accounts.models import Role
from webapp.accounts.services import membership_set
from webapp.analysis import services
from webapp.analysis.models import StudySummary
from webapp.analysis.selectors import history
from webapp.analysis.worklist.query import Filters, worklist
from webapp.core.errors import CodedError
from webapp.scans.models import Patient, PatientMerge, Scan, Study, Upload
from webapp.scans.patients.corrections import patient_merge, patient_unmerge, scan_move
from webapp.scans.patients.identity import end_of
from webapp.scans.services import upload_finish

pytestmark = pytest.mark.django_db(transaction=True)
PERMISSIONS = ["scan.move", "scan.view", "patient.merge"]


@pytest.fixture
def boss(person, site):
    """The roles of the data migration are flushed by tests like these."""
    role, _ = Role.objects.get_or_create(name="admin", defaults={"permissions": PERMISSIONS})
    user = person("boss")
    membership_set(user=user, site=site, role=role)
    return user


@pytest.fixture
def people(site):
    """Two patients, each with two scans of a study that both have and one of their own."""
    people = [PatientFactory(site=site, patient_id=name) for name in "AB"]
    for patient in people:
        for uid, count in (("1.2.3", 2), (f"1.2.{patient.patient_id}", 1)):
            study = StudyFactory(patient=patient, study_instance_uid=uid)
            scans = [ScanFactory(site=site, series__study=study) for _ in range(count)]
            services.analyses_queue(scans)
    return people


def rows(user) -> dict:
    """The worklist: patient and study to the number of scans."""
    return {
        (row.study.patient.patient_id, row.study.study_instance_uid): row.scans for row in worklist(user=user)
    }


def check_sums() -> None:
    """Every study has scans and a row that counts them; nobody who is merged has a study with scans."""
    filed = Study.objects.filter(series__scans__isnull=False).distinct()
    assert {row.study_id: row.scans for row in StudySummary.objects.all()} == {
        study.pk: Scan.objects.filter(series__study=study).count() for study in filed
    }
    assert all(end_of(study.patient) == study.patient for study in filed)


def test_the_worklist_follows_a_merge_and_a_unmerging(people, boss):
    before = rows(boss)
    merge = patient_merge(source=people[0], target=people[1], actor=boss, reason="twice")
    assert rows(boss) == {("B", "1.2.3"): 4, ("B", "1.2.A"): 1, ("B", "1.2.B"): 1}
    check_sums()
    patient_unmerge(merge=merge, actor=boss, reason="twins")
    assert rows(boss) == before
    check_sums()


def test_the_history_is_that_of_both(people, boss):
    both = {entry.scan.pk for patient in people for entry in history(patient)}
    patient_merge(source=people[0], target=people[1], actor=boss, reason="twice")
    assert {entry.scan.pk for entry in history(people[1])} == both
    assert history(people[0]) == []


def test_a_search_by_the_old_identifier_finds_all_along_a_chain(people, boss, site):
    third = PatientFactory(site=site, patient_id="C")
    patient_merge(source=people[0], target=people[1], actor=boss, reason="twice")
    patient_merge(source=people[1], target=third, actor=boss, reason="thrice")
    assert {row.study.patient for row in worklist(user=boss, site=site, filters=Filters(search="A"))} == {
        third
    }


def test_a_merge_that_is_clicked_by_several_at_once_is_one(people, boss):
    merge = partial(patient_merge, source=people[0], target=people[1], actor=boss, reason="twice")
    assert len({done.pk for done in in_threads(*[merge] * 4)}) == 1
    assert PatientMerge.objects.count() == 1
    check_sums()


def test_merging_each_into_the_other_at_once_makes_no_circle(people, boss):
    def merge(source: Patient, target: Patient) -> str:
        try:
            patient_merge(source=source, target=target, actor=boss, reason="twice")
        except CodedError as error:
            return error.code
        return "merged"

    one, other = people
    text = in_threads(partial(merge, one, other), partial(merge, other, one))
    assert sorted(text) == ["conflict", "merged"]
    assert end_of(one) == end_of(other)
    check_sums()


def test_a_chain_that_is_made_at_once_has_one_end(site, boss):
    people = [PatientFactory(site=site) for _ in range(4)]
    for patient in people:
        ScanFactory(site=site, patient=patient)
    pairs = itertools.pairwise(people)
    in_threads(*[partial(patient_merge, source=a, target=b, actor=boss, reason="one") for a, b in pairs])
    assert {end_of(patient) for patient in people} == {people[-1]}
    assert {scan.patient for scan in Scan.objects.all()} == {people[-1]}


def test_no_file_that_comes_in_at_the_same_time_stays_with_the_merged_one(people, boss, site):
    for _ in range(6):
        UploadFactory(site=site)
    uploads = Upload.objects.claim(6)
    header = {"PatientID": "A", "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.9"}
    results = [[parsed(u, u.attempt_token, shade=i, **header)] for i, u in enumerate(uploads)]
    arrivals = [
        partial(upload_finish, upload=upload, results=result)
        for upload, result in zip(uploads, results, strict=True)
    ]
    merge = partial(patient_merge, source=people[0], target=people[1], actor=boss, reason="twice")
    done = in_threads(*arrivals[:3], merge, *arrivals[3:])[3]
    assert Scan.objects.filter(series__study__patient=people[1]).count() == 12
    assert done.scans.count() == 9, "brought or come in since, all are known to be A's"
    check_sums()
    patient_unmerge(merge=done, actor=boss, reason="twins")
    assert Scan.objects.filter(series__study__patient=people[0]).count() == 9
    check_sums()


def test_scans_that_are_moved_while_patients_are_merged_end_up_somewhere_true(people, boss, site):
    third = PatientFactory(site=site, patient_id="C")
    scans = list(Scan.objects.filter(series__study__patient=people[0]))
    moves = [partial(scan_move, scan=scan, patient=third, actor=boss, reason="wrong") for scan in scans]
    merge = partial(patient_merge, source=people[0], target=people[1], actor=boss, reason="twice")
    in_threads(moves[0], merge, *moves[1:])
    assert Scan.objects.filter(series__study__patient=third).count() == 3
    assert Scan.objects.filter(series__study__patient=people[1]).count() == 3
    check_sums()


def test_unmerged_by_several_at_once_it_is_unmerged_once(people, boss):
    merge = patient_merge(source=people[0], target=people[1], actor=boss, reason="twice")
    before = Scan.objects.count()
    in_threads(*[partial(patient_unmerge, merge=merge, actor=boss, reason="twins")] * 3)
    assert Scan.objects.count() == before
    assert Scan.objects.filter(series__study__patient=people[0]).count() == 3
    check_sums()


def test_a_study_that_a_merge_has_emptied_leaves_the_worklist(people, boss):
    patient_merge(source=people[0], target=people[1], actor=boss, reason="twice")
    study = Study.objects.get(patient=people[0])
    assert not StudySummary.objects.filter(study=study).exists()
