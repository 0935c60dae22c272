"""Which patient an identifier names, with or without issuer, before and after merges; image times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.factories import PatientFactory, ScanFactory, UploadFactory, parsed
from webapp.core.errors import CodedError
from webapp.scans.models import Patient, PatientMerge, Scan, Upload
from webapp.scans.patients.identity import differences, patient_find_or_create, patients_meant
from webapp.scans.patients.person_name import displayed, names_differ
from webapp.scans.patients.records import may_be_same
from webapp.scans.services import upload_finish, upload_store
from webapp.scans.uploads.stated_metadata import StatedMetadata

pytestmark = pytest.mark.django_db
JANE = {"name": "ROE^JANE", "sex": "F", "birth_date": date(1960, 2, 29)}


@pytest.fixture
def find(site):
    def find(patient_id: str = "H1", **reported) -> Patient:
        return patient_find_or_create(site=site, patient_id=patient_id, **reported)

    return find


@pytest.fixture
def arrive(site):
    def arrive(**metadata) -> Scan:
        UploadFactory(site=site)
        upload = Upload.objects.claim()[0]
        token = upload.attempt_token
        return upload_finish(upload=upload, results=[parsed(upload, token, **metadata)])[0]

    return arrive


def merged(source: Patient, target: Patient, person) -> Patient:
    PatientMerge.objects.create(source=source, target=target, actor=person, reason="twice")
    return target


def test_an_issuer_that_comes_later_joins_the_only_patient_of_the_identifier(find):
    first = find(**JANE)
    assert find(issuer="ANNA", **JANE) == first
    first.refresh_from_db()
    assert first.issuer == "ANNA"
    assert find() == first, "whichever came first"


@pytest.mark.parametrize("field", ["name", "sex", "birth_date"])
@pytest.mark.parametrize("issuers", [("", "ANNA"), ("ANNA", "")])
def test_a_missing_issuer_joins_nobody_whose_name_sex_or_birth_date_contradict(find, field, issuers):
    other = {"name": "DOE^JOHN", "sex": "M", "birth_date": date(1999, 1, 1)}
    known = find(issuer=issuers[0], **JANE)
    assert find(issuer=issuers[1], **{**JANE, field: other[field]}) != known
    known.refresh_from_db()
    assert known.issuer == issuers[0]


def test_the_same_identifier_and_issuer_is_one_patient_whatever_the_name(find):
    assert find(issuer="ANNA", **JANE) == find(issuer="ANNA", name="DOE^JOHN", sex="M")


def test_an_issuer_is_not_filled_in_where_several_have_the_identifier(find):
    ours, theirs = find(issuer="ANNA"), find(issuer="HARBOUR")
    neither = find()
    third = find(issuer="THIRD")
    assert len({ours.pk, theirs.pk, neither.pk, third.pk}) == 4
    assert find() == neither


def test_spaces_around_do_not_matter_and_case_does(arrive):
    one = arrive(PatientID="H1 ", IssuerOfPatientID=" ANNA")
    assert arrive(PatientID=" H1", IssuerOfPatientID="ANNA ").patient == one.patient
    assert arrive(PatientID="h1", IssuerOfPatientID="ANNA").patient != one.patient
    assert arrive(PatientID="H1", IssuerOfPatientID="Anna").patient != one.patient


def test_other_identifiers_and_qualifiers_of_the_issuer_join_nobody(arrive):
    known = arrive(PatientID="H1", IssuerOfPatientID="ANNA").patient
    assert arrive(PatientID="H2", OtherPatientIDs=["H1"]).patient != known
    qualified = arrive(
        PatientID="H1",
        IssuerOfPatientID="ANNA",
        IssuerOfPatientIDQualifiersSequence=[{"UniversalEntityID": "1.2"}],
    )
    assert qualified.patient == known


def test_no_identifier_is_joined_across_sites(find, other_site):
    for issuer in ("", "ANNA"):
        theirs = PatientFactory(site=other_site, patient_id="H9", issuer=issuer)
        assert find("H9", issuer=issuer) != theirs
        assert patients_meant(site=other_site, identifiers=["H1"]) == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ROE^JANE", "Roe^Jane^^", True),
        ("ROE^JANE  M", "ROE^JANE M=字", True),
        ("=佐藤^博=さとう^ひろし", "Sato^Hiroshi=佐藤^博", True),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ^タロウ", True),
        ("ROE^JANE", "ROE^^JANE", False),
        ("ROE^JANE", "ROE^JOAN", False),
        ("DOE^JOHN^^^JR", "DOE^JOHN^^^SR", False),
        ("DOE^JOHN^^^JR", "DOE^JOHN", False),
        ("=佐藤^博=さとう^ひろし", "=鈴木^花子=すずき^はなこ", False),
        ("Sato^Hiroshi=佐藤^博", "Sato^Hiroshi=鈴木^博", False),
        ("=佐藤^博", "Sato^Hiroshi", False),
    ],
)
def test_names_are_compared_as_people_read_them(one, other, same):
    assert names_differ(one, other) is not same
    assert names_differ(other, one) is not same


def test_two_people_under_one_identifier_are_noted(site, find):
    patient = find("H1", name="=佐藤^博")
    assert differences(patient, {"name": "=鈴木^花子"}) == {"name": ("=佐藤^博", "=鈴木^花子")}


def test_others_born_on_the_same_day_are_not_offered_as_one_person(find):
    born = {"birth_date": date(1965, 5, 5)}
    one = find("H1", name="=鈴木^一郎", **born)
    find("H2", name="=高橋^二郎", **born)
    same = find("H3", name="Suzuki^Ichiro=鈴木^一郎", **born)
    assert may_be_same(one) == [same]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("DOE^Jane^M", "DOE, Jane M"),
        ("DOE^John^^Dr^Jr", "DOE, John, Jr"),
        ("=佐藤^博=さとう^ひろし", "佐藤 博"),
        ("==さとう^ひろし", "さとう ひろし"),
        ("^Jane", "Jane"),
        ("", ""),
    ],
)
def test_a_name_is_shown_by_its_first_group(name, shown):
    assert displayed(name) == shown


def test_an_identifier_alone_means_who_the_patient_is_by_now(find, owner):
    old, new = find("OLD"), find("NEW")
    assert patients_meant(site=old.site, identifiers=["OLD", "NEW", "NO"]) == {"OLD": old, "NEW": new}
    merged(old, new, owner)
    assert patients_meant(site=old.site, identifiers=["OLD", "NEW", "NO"]) == {"OLD": new, "NEW": new}


def test_the_same_file_may_be_uploaded_under_a_merged_identifier(site, owner, find):
    old, new = find("OLD"), find("NEW")
    content = b"a file"
    upload, _ = upload_store(user=owner, site=site, chunks=[content])
    scan = ScanFactory(id=upload.id, site=site, patient=new, upload=upload)
    type(upload).objects.filter(pk=upload.pk).update(status="done")

    def again(patient_id: str):
        return upload_store(
            user=owner, site=site, chunks=[content], stated=StatedMetadata(patient_id=patient_id)
        )[0]

    with pytest.raises(CodedError, match="patient_conflict"):
        again("OLD")
    merged(old, new, owner)
    assert again("OLD") == again("NEW") == scan.upload


def test_a_files_own_time_zone_wins_over_the_sites(arrive):
    header = {"StudyDate": "20260301", "StudyTime": "233000", "AcquisitionDate": "20260301"}
    header |= {"AcquisitionTime": "234500"}
    local, tokyo = (arrive(**header, **offset) for offset in ({}, {"TimezoneOffsetFromUTC": "+0900"}))
    assert local.study.study_at == datetime(2026, 3, 1, 22, 30, tzinfo=UTC), "Berlin"
    assert tokyo.study.study_at == datetime(2026, 3, 1, 14, 30, tzinfo=UTC)
    assert tokyo.study.study_date == date(2026, 3, 1), "the local day stays the file's"
    assert tokyo.acquired_at - tokyo.study.study_at == timedelta(minutes=15)
    assert local.acquired_at == datetime(2026, 3, 1, 22, 45, tzinfo=UTC)


def test_the_time_zone_of_a_file_without_a_date_does_not_shift_the_claimed_day(site):
    UploadFactory(site=site, stated_date=date(2026, 3, 1))
    upload = Upload.objects.claim()[0]
    image = parsed(upload, upload.attempt_token, TimezoneOffsetFromUTC="+0900")
    (scan,) = upload_finish(upload=upload, results=[image])
    assert scan.study.study_at == datetime(2026, 2, 28, 23, tzinfo=UTC)


@pytest.mark.parametrize("day", ["00010101", "99991231"])
def test_a_day_at_the_end_of_time_is_filed_all_the_same(arrive, day):
    offset = {"00010101": "+0900", "99991231": "-0900"}[day]
    clock = {"00010101": "000000", "99991231": "235959"}[day]
    scan = arrive(
        StudyDate=day, StudyTime=clock, AcquisitionDateTime=day + clock, TimezoneOffsetFromUTC=offset
    )
    assert scan.study.study_at == scan.received_at
