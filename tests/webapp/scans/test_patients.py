"""Two patients are merged and unmerged again; nothing is lost, and everything leaves its trace."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.db import IntegrityError, transaction

from classifier.contract import Slot
from tests.factories import PatientFactory, ScanFactory, SeriesFactory, StudyFactory, UploadFactory, parsed
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.scans.models import MergedScan, PatientMerge, Scan, Series, Study, Upload
from webapp.scans.patients.corrections import patient_merge, patient_unmerge, scan_move
from webapp.scans.patients.identity import end_of, patient_find_or_create
from webapp.scans.services import upload_finish

pytestmark = pytest.mark.django_db
WHY = "the same person, registered twice"
BOTH_HAVE = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4", "StudyDate": "20260301"}


@pytest.fixture
def boss(person, site):
    return person("boss", role="admin", site=site)


@pytest.fixture
def merge(boss):
    return lambda source, target: patient_merge(source=source, target=target, actor=boss, reason=WHY)


@pytest.fixture
def part(boss):
    return lambda merge: patient_unmerge(merge=merge, actor=boss, reason="two persons after all")


@pytest.fixture
def people(site):
    return [PatientFactory(site=site, patient_id=name) for name in "ABCD"]


@pytest.fixture
def arrive(site):
    """Files an image that comes in now: `arrive(PatientID="A", ...)`."""
    shades = iter(range(100))

    def arrive(claimed: str = "", **metadata) -> Scan:
        UploadFactory(site=site, stated_patient_id=claimed)
        upload = Upload.objects.claim()[0]
        token = upload.attempt_token
        image = parsed(upload, token, shade=next(shades), slot=Slot.CXR, **metadata)
        return upload_finish(upload=upload, results=[image])[0]

    return arrive


def study_of(patient, uid: str = "1.2.3", **columns) -> Study:
    return StudyFactory(patient=patient, study_instance_uid=uid, **columns)


def scan_in(study: Study, series: str = "1.2.4", **columns) -> Scan:
    row = Series.objects.filter(study=study, series_instance_uid=series).first()
    row = row or SeriesFactory(study=study, series_instance_uid=series)
    return ScanFactory(site=study.site, series=row, **columns)


def filed(scan: Scan) -> tuple[str, str, str]:
    scan = Scan.objects.select_related("series__study__patient").get(pk=scan.pk)
    return scan.patient.patient_id, scan.study.study_instance_uid, scan.series.series_instance_uid


def everything() -> set[tuple]:
    """Where each scan lies, by row."""
    rows = Scan.objects.values_list("pk", "series", "series__study", "series__study__patient")
    columns = Study.objects.values_list("pk", "patient", "study_instance_uid", "accession_number", "study_at")
    return {*rows, *columns}


def code_of(call, **arguments) -> str:
    with pytest.raises(CodedError) as caught:
        call(**arguments)
    return caught.value.code


def test_all_studies_go_to_the_target_who_stays_as_they_were(people, merge):
    source, target, *_ = people
    own, studies = study_of(target, "1.1"), [study_of(source, uid) for uid in ("1.2", "1.3")]
    scans = [scan_in(study) for study in (own, *studies)]
    before = (target.name, target.sex, target.birth_date)
    trace = merge(source, target)
    target.refresh_from_db()
    assert {filed(scan)[0] for scan in scans} == {"B"}
    assert set(target.studies.all()) == {own, *studies}, "a study keeps its row"
    assert (target.name, target.sex, target.birth_date) == before
    assert (trace.source, trace.target, trace.reason, trace.scans.count()) == (source, target, WHY, 2)


def test_a_study_that_both_have_becomes_one_and_two_again(people, merge, part):
    source, target, *_ = people
    theirs, ours = study_of(source, accession_number="S"), study_of(target, accession_number="T")
    scans = [scan_in(theirs), scan_in(theirs, "1.2.5"), scan_in(ours), scan_in(ours, "1.2.6")]
    before = everything()
    trace = merge(source, target)
    assert {filed(scan)[:2] for scan in scans} == {("B", "1.2.3")}
    assert [filed(scan)[2] for scan in scans] == ["1.2.4", "1.2.5", "1.2.4", "1.2.6"]
    assert Scan.objects.filter(series__study=ours).count() == 4
    part(trace)
    assert everything() == before
    assert Series.objects.count() == 4, "no empty series is left"


def test_a_unmerging_restores_what_was(people, merge, part):
    source, target, *_ = people
    for uid in ("1.2", "1.3"):
        scan_in(study_of(source, uid))
    scan_in(study_of(target, "1.4"))
    before = everything()
    trace = part(merge(source, target))
    assert everything() == before
    assert end_of(source) == source
    assert trace.unmerged_at
    assert (trace.reason, trace.unmerged_reason) == (WHY, "two persons after all")
    assert trace.scans.count() == 2, "the trace stays"


def test_what_comes_in_later_under_the_old_identifier_is_filed_to_the_target(people, merge, arrive):
    source, target, *_ = people
    merge(source, target)
    assert arrive(PatientID="A").patient == target
    assert arrive(claimed="A").patient == target
    assert patient_find_or_create(site=source.site, patient_id="A") == target


def test_what_came_in_since_goes_back_with_the_identifier_that_it_came_under(people, merge, part, arrive):
    source, target, *_ = people
    trace = merge(source, target)
    header = {"StudyInstanceUID": "1.9", "SeriesInstanceUID": "1.9.1"}
    back, claimed = arrive(PatientID="A", **header), arrive(claimed="A")
    stays = arrive(PatientID="B", **header)
    assert back.study == stays.study
    part(trace)
    assert [filed(scan)[0] for scan in (back, claimed, stays)] == ["A", "A", "B"]
    assert filed(back) == ("A", "1.9", "1.9.1")
    assert {study.patient_id for study in Study.objects.filter(series__scans=None)} == set()


def test_the_day_of_a_later_image_is_a_study_of_the_source_after_the_unmerging(people, merge, part, arrive):
    source, target, *_ = people
    trace = merge(source, target)
    later = arrive(PatientID="A", StudyDate="20260301")
    part(trace)
    assert filed(arrive(PatientID="A", StudyDate="20260301"))[:2] == filed(later)[:2]


def test_what_was_moved_by_hand_since_stays_where_it_was_put(people, merge, part, boss):
    source, target, third, _ = people
    away, round_trip, brought = (scan_in(study_of(source, uid)) for uid in ("1.2", "1.3", "1.4"))
    foreign = scan_in(study_of(third, "1.5"))
    trace = merge(source, target)
    for scan, patient in ((away, third), (round_trip, third), (round_trip, target), (foreign, target)):
        scan_move(scan=Scan.objects.get(pk=scan.pk), patient=patient, actor=boss, reason="by hand")
    part(trace)
    assert [filed(scan)[0] for scan in (away, round_trip, brought, foreign)] == ["C", "B", "A", "B"]


def test_a_scan_moved_to_a_merged_patient_is_filed_to_who_they_are_now(people, merge, boss):
    source, target, third, _ = people
    scan = scan_in(study_of(third))
    merge(source, target)
    assert scan_move(scan=scan, patient=source, actor=boss, reason="hers").study.patient == target


def test_a_merge_into_a_merged_patient_goes_to_the_end_of_the_chain(people, merge, arrive):
    a, b, c, d = people
    merge(a, b)
    merge(b, c)
    assert merge(d, a).target == c
    assert {arrive(PatientID=name).patient for name in "ABCD"} == {c}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_chain_is_unmerged_in_any_order(people, merge, part, arrive, order):
    a, b, c, _ = people
    scans = [scan_in(study_of(p), metadata=BOTH_HAVE) for p in (a, b, c)]
    before = {filed(scan) for scan in scans}
    merges = [merge(a, b), merge(b, c)]
    later = arrive(PatientID="A", **BOTH_HAVE)
    assert {filed(scan)[0] for scan in (*scans, later)} == {"C"}
    part(merges[order[0]])
    assert filed(scans[0])[0] == filed(later)[0] == "AB"[order[0]]
    part(merges[order[1]])
    assert {filed(scan) for scan in scans} == before
    assert filed(later)[0] == "A"
    assert not Study.objects.filter(series__scans=None).exists()


def test_a_part_of_a_chain_that_was_merged_again_is_not_taken_along(people, merge, part):
    a, b, c, _ = people
    scan = scan_in(study_of(a))
    first, second = merge(a, b), merge(b, c)
    part(first)
    merge(a, c)
    part(second)
    assert filed(scan)[0] == "C"


def test_done_twice_it_is_done_once(people, merge, part):
    source, target, *_ = people
    scan = scan_in(study_of(source))
    first = merge(source, target)
    assert merge(source, target) == first
    unmerged = part(first)
    merge(source, target)
    part(first)
    first.refresh_from_db()
    assert first.unmerged_at == unmerged.unmerged_at
    assert filed(scan)[0] == "B", "the second merge is active"
    assert PatientMerge.objects.count() == 2


def test_there_are_no_circles_and_no_second_target(people, boss):
    a, b, c, _ = people

    def merge(source, target):
        return {"source": source, "target": target, "actor": boss, "reason": WHY}

    assert code_of(patient_merge, **merge(a, a)) == "metadata_invalid"
    patient_merge(**merge(a, b))
    assert code_of(patient_merge, **merge(b, a)) == "conflict"
    assert code_of(patient_merge, **merge(a, c)) == "conflict"
    with pytest.raises(IntegrityError), transaction.atomic():
        PatientMerge.objects.create(source=a, target=c, actor=boss, reason=WHY)


def test_nobody_is_merged_into_a_patient_who_nobody_named(people, site, boss):
    unnamed = PatientFactory(site=site, provisional=True)
    assert (
        code_of(patient_merge, source=people[0], target=unnamed, actor=boss, reason=WHY) == "metadata_invalid"
    )
    patient_merge(source=unnamed, target=people[0], actor=boss, reason=WHY)


def test_only_who_may_merge_does_at_the_site_and_with_a_reason(people, boss, owner, person, other_site):
    source, target, *_ = people
    elsewhere = person("elsewhere", role="admin", site=other_site)
    for actor in (owner, elsewhere):
        assert code_of(patient_merge, source=source, target=target, actor=actor, reason=WHY) == "forbidden"
    theirs = PatientFactory(site=other_site)
    assert code_of(patient_merge, source=source, target=theirs, actor=boss, reason=WHY) == "not_found"
    assert code_of(patient_merge, source=source, target=target, actor=boss, reason=" ") == "metadata_invalid"
    trace = patient_merge(source=source, target=target, actor=boss, reason=WHY)
    for actor in (owner, elsewhere):
        assert code_of(patient_unmerge, merge=trace, actor=actor, reason=WHY) == "forbidden"
    assert code_of(patient_unmerge, merge=trace, actor=boss, reason="") == "metadata_invalid"
    assert not PatientMerge.objects.exclude(unmerged_at=None).exists()


def test_the_audit_trail_holds_ids_and_no_reason(people, merge, part, boss):
    source, target, *_ = people
    scan_in(study_of(source))
    trace = part(merge(source, target))
    detail = {"merge": str(trace.pk), "target": str(target.pk), "scans": 1}
    for action in ("patient.merged", "patient.unmerged"):
        event = AuditEvent.objects.get(action=action)
        assert (event.actor, event.site, event.detail) == (boss, source.site, detail)
        assert str(source.pk) in event.subject


def test_a_merged_identifier_of_two_issuers_needs_no_issuer_any_more(site, merge, arrive):
    ours, theirs = (PatientFactory(site=site, patient_id="H1", issuer=issuer) for issuer in ("X", "Y"))
    merge(theirs, ours)
    assert arrive(PatientID="H1").patient == ours
    assert not MergedScan.objects.exists(), "no record that it came under the merged one's identifier"


def test_the_study_of_a_merged_patient_keeps_its_day(people, merge, part):
    source, target, *_ = people
    at = datetime(2020, 1, 2, 3, tzinfo=UTC)
    scan_in(study_of(source, study_date=date(2020, 1, 2), study_at=at, description="Thorax"))
    scan_in(study_of(target))
    part(merge(source, target))
    study = source.studies.get()
    assert (study.study_date, study.study_at, study.description) == (date(2020, 1, 2), at, "Thorax")
