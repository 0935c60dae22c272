"""Who sees which upload, scan and patient."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection

from tests.factories import PatientFactory, ScanFactory, UploadFactory
from webapp.core.errors import CodedError
from webapp.scans import selectors
from webapp.scans.models import Patient

pytestmark = pytest.mark.django_db


@pytest.fixture
def scan(site, owner):
    return ScanFactory(site=site, upload__user=owner)


@pytest.fixture
def auditor(person, site):
    return person("auditor", role="auditor", site=site)


def is_404(call, *args) -> bool:
    with pytest.raises(CodedError) as caught:
        call(*args)
    return (caught.value.code, caught.value.status) == ("not_found", 404)


def test_owner_and_teammate_see_a_scan_with_its_upload_and_patient(scan, owner, teammate):
    for user in (owner, teammate):
        assert selectors.scan_or_404(user, scan.id) == scan
        assert selectors.upload_or_404(user, scan.upload_id) == scan.upload
        assert selectors.patient_or_404(user, scan.patient.id) == scan.patient


def test_outsiders_and_those_who_may_not_view_find_nothing(scan, outsider, auditor, person):
    for user in (outsider, auditor, person("nobody")):
        assert is_404(selectors.scan_or_404, user, scan.id)
        assert is_404(selectors.upload_or_404, user, scan.upload_id)
        assert is_404(selectors.patient_or_404, user, scan.patient.id)
        assert is_404(selectors.scan_or_upload, scan.id, user)


def test_an_id_is_the_upload_until_it_is_the_scan(site, owner):
    upload = UploadFactory(site=site)
    assert selectors.scan_or_upload(upload.id, owner) == upload
    done = UploadFactory(site=site, status="done")
    scan = ScanFactory(id=done.id, site=site, upload=done)
    assert selectors.scan_or_upload(done.id, owner) == scan
    assert is_404(selectors.scan_or_upload, uuid.uuid4(), owner)


def test_a_patient_is_found_by_the_beginning_of_the_id_or_a_part_of_the_name(site):
    jane = PatientFactory(site=site, patient_id="0042", name="DOE^JANE")
    PatientFactory(site=site, patient_id="1004", name="ROE^RICHARD")
    for words, found in (("004", [jane]), ("jane doe", [jane]), ("jane richard", [])):
        assert list(Patient.objects.filter(selectors.patient_matches(words))) == found


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("Иванов^Иван", "иванов"),
        ("Иванов^Иван", "ИВАН иванов"),
        ("MÜLLER^JÜRGEN", "müller"),
        ("MÜLLER^JÜRGEN", "Muller, Jurgen"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ"),
        ("Doe^John^^^Jr", "Doe, John"),
        ("Doe^John^^^Jr", "doe^john"),
        ("=佐藤^博=さとう^ひろし", "佐藤"),
        ("GROẞ^Zoë", "gross zoe"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "やまだ"),
        ("=佐藤^博=さとう^ひろし", "サトウ"),
        ("O'Brien^Seán", "obrien"),
        ("OBRIEN^SEAN", "O’Brien"),
    ],
)
def test_a_name_is_found_whatever_its_case_width_and_accents(site, name, typed):
    patient = PatientFactory(site=site, patient_id="1", name=name)
    PatientFactory(site=site, patient_id="2", name="Other^Person")
    assert list(Patient.objects.filter(selectors.patient_matches(typed))) == [patient]


@pytest.mark.parametrize(
    ("metadata", "age"),
    [
        ({"PatientAge": "064Y"}, 64),
        ({"PatientAge": "018M"}, 1.5),
        ({"PatientAge": "old", "PatientBirthDate": "20001120"}, 26),
        ({"PatientBirthDate": "20991120"}, None),
        ({}, None),
    ],
)
def test_an_age_is_the_files_or_from_the_birth_date_or_unknown(site, metadata, age):
    scan = ScanFactory(site=site, metadata=metadata)
    assert selectors.patient_age(scan) == (pytest.approx(age, abs=0.02) if age else None)


def test_postgresql_finds_patients_by_the_beginning_of_their_identifier(db):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite reads every row")
    found = Patient.objects.filter(selectors.patient_matches("P-1")).order_by()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        assert "patient_by_identifier_prefix" in found.explain()
