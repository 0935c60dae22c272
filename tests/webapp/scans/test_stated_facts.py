"""View, sex, age and relative dates that an upload states: read, kept, and second to the file's header."""

from __future__ import annotations

from datetime import date

import pytest

from tests.factories import UploadFactory
from webapp.core.errors import CodedError
from webapp.scans.filing import study_for, with_stated
from webapp.scans.patients.identity import demographics, patient_named
from webapp.scans.patients.pseudonymity import metadata_for_site
from webapp.scans.uploads.stated_metadata import StatedMetadata


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"view": "pa", "sex": "female", "age": "64"}, ("PA", "F", "064Y")),
        ({"view": "AP Supine", "sex": "M", "age": "64.5"}, ("AP", "M", "064Y")),
        ({"view": "Lateral", "sex": "Unknown", "age": "018m"}, ("LATERAL", "", "018M")),
        ({"view": "n/a", "sex": "nan", "age": "NaN"}, ("", "", "")),
    ],
)
def test_view_sex_and_age_are_kept_as_dicom_writes_them(given, kept):
    stated = StatedMetadata.parse(**given)
    assert (stated.view, stated.sex, stated.age) == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sex", "robot"),
        ("age", "old"),
        ("age", "1234"),
        ("view", "from somewhere above the bed"),
        ("modality", "mri"),
        ("date", "20.11.2026"),
        ("patient_id", "P\u202e42"),
    ],
)
def test_a_refused_value_is_quoted(name, value):
    with pytest.raises(CodedError) as caught:
        StatedMetadata.parse(**{name: value})
    assert f"“{value.replace(chr(0x202E), chr(0xFFFD))}”" in caught.value.message


def test_what_cannot_be_stated_of_a_list_is_left_out():
    assert StatedMetadata.usable(view="PA", sex="robot", age="64") == {"view": "PA", "age": "064Y"}


def test_the_header_comes_before_what_is_stated():
    upload = UploadFactory.build(stated_view="PA", stated_sex="F", stated_age="064Y")
    found = with_stated({"ViewPosition": "AP", "PatientSex": ""}, upload)
    assert found == {"ViewPosition": "AP", "PatientSex": "F", "PatientAge": "064Y"}
    assert demographics(found)["sex"] == "F"


@pytest.mark.django_db
@pytest.mark.parametrize(("header", "relative"), [({}, True), ({"StudyDate": "20260101"}, False)])
def test_a_made_up_date_is_marked_unless_the_header_has_one(site, owner, header, relative):
    upload = UploadFactory(
        site=site,
        user=owner,
        stated_date=date(2026, 11, 20),
        stated_date_relative=True,
        stated_patient_id="P",
    )
    patient = patient_named(site=site, patient_id="P")
    study = study_for(patient=patient, metadata=header, upload=upload, scan_id=upload.pk)
    assert study.date_is_relative is relative


def test_a_date_is_relative_only_where_there_is_one():
    assert not StatedMetadata.parse(date_relative="true").date_relative
    assert StatedMetadata.parse(date="2026-11-20", date_relative="true").date_relative


@pytest.mark.django_db
def test_a_site_that_removes_identity_keeps_no_age_above_90(site, settings):
    settings.DEIDENTIFY_KEY = "k" * 40
    site.deidentify_on_ingest = True
    assert metadata_for_site(site, StatedMetadata.parse(age="97", sex="F")).age == "090Y"
    assert metadata_for_site(site, StatedMetadata.parse(age="64", sex="F")).age == "064Y"
