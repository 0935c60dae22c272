"""De-identification against PS3.15 Annex E, read from the standard and not from the library that does it."""

from __future__ import annotations

import io
from datetime import date, timedelta

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import ComputedRadiographyImageStorage

from classifier.images.deidentify.dicom import deidentify, to_bytes
from classifier.images.deidentify.pseudonyms import Pseudonyms
from classifier.images.dicom.header import read_dataset
from tests.classifier.images.samples import chest, dataset

KEY = b"a key of thirty-two random bytes"
STUDY, SERIES, INSTANCE, FRAME = "1.2.3.1", "1.2.3.2", "1.2.3.4", "1.2.3.5"

# Table E.1-1, column "Basic Prof.", as the standard prints it; a value that betrays itself, where it stays.
TABLE = {
    "AccessionNumber": ("Z", "ACC-SECRET"),
    "AcquisitionComments": ("X", "SECRET"),
    "AdmissionID": ("X", "SECRET"),
    "AdmittingDiagnosesDescription": ("X", "SECRET"),
    "AdditionalPatientHistory": ("X", "SECRET"),
    "CassetteID": ("X", "SECRET"),
    "CountryOfResidence": ("X", "SECRET"),
    "CurrentPatientLocation": ("X", "SECRET"),
    "DerivationDescription": ("X", "SECRET"),
    "DetectorID": ("X/D", "SECRET"),
    "DeviceSerialNumber": ("X/Z/D", "SECRET"),
    "EthnicGroup": ("X", "SECRET"),
    "FrameOfReferenceUID": ("U", FRAME),
    "ImageComments": ("X", "SECRET"),
    "InstitutionAddress": ("X", "SECRET"),
    "InstitutionName": ("X/Z/D", "SECRET"),
    "InstitutionalDepartmentName": ("X", "SECRET"),
    "IssuerOfAdmissionID": ("X", "SECRET"),
    "MedicalAlerts": ("X", "SECRET"),
    "NameOfPhysiciansReadingStudy": ("X", "SECRET"),
    "Occupation": ("X", "SECRET"),
    "OperatorsName": ("X/Z/D", "SECRET"),
    "OtherPatientIDs": ("X", "SECRET"),
    "OtherPatientNames": ("X", "SECRET"),
    "PatientAddress": ("X", "SECRET"),
    "PatientBirthDate": ("Z", "19610203"),
    "PatientBirthName": ("X", "SECRET"),
    "PatientBirthTime": ("X", "031700"),
    "PatientComments": ("X", "SECRET"),
    "PatientMotherBirthName": ("X", "SECRET"),
    "PatientSex": ("Z", "F"),
    "PatientSize": ("X", "1.68"),
    "PatientTelephoneNumbers": ("X", "SECRET"),
    "PatientWeight": ("X", "61"),
    "PatientAge": ("X", "065Y"),
    "PerformedLocation": ("X", "SECRET"),
    "PerformedProcedureStepDescription": ("X", "SECRET"),
    "PerformedProcedureStepID": ("X", "SECRET"),
    "PerformingPhysicianName": ("X", "SECRET"),
    "PhysiciansOfRecord": ("X", "SECRET"),
    "PlateID": ("X", "SECRET"),
    "PregnancyStatus": ("X", 4),
    "ProtocolName": ("X/D", "SECRET"),
    "ReasonForStudy": ("X", "SECRET"),
    "ReferringPhysicianAddress": ("X", "SECRET"),
    "ReferringPhysicianName": ("Z", "SECRET"),
    "RequestedProcedureDescription": ("X/Z", "SECRET"),
    "RequestedProcedureID": ("X", "SECRET"),
    "RequestingPhysician": ("X", "SECRET"),
    "RequestingService": ("X", "SECRET"),
    "SeriesDescription": ("X", "SECRET"),
    "SeriesInstanceUID": ("U", SERIES),
    "SOPInstanceUID": ("U", INSTANCE),
    "StationName": ("X/Z/D", "SECRET"),
    "StudyDescription": ("X", "SECRET"),
    "StudyID": ("Z", "SECRET"),
    "StudyInstanceUID": ("U", STUDY),
    "TimezoneOffsetFromUTC": ("X", "+0100"),
    "ClinicalTrialSubjectID": ("D", "SECRET"),
    "ClinicalTrialSponsorName": ("D", "SECRET"),
}
# Sequences of the same table with action X, or Z where the attribute is of type 2.
SEQUENCES = {
    "RequestAttributesSequence": "X",
    "ReferencedPatientSequence": "X",
    "OtherPatientIDsSequence": "X",
    "ReferringPhysicianIdentificationSequence": "X",
    "OriginalAttributesSequence": "X",
    "IconImageSequence": "X",
    "OperatorIdentificationSequence": "X/D",
    "InstitutionCodeSequence": "X/Z/D",
    "AcquisitionContextSequence": "X/Z",
}
# The same table, column "Rtn. Long. Modif. Dates Opt.", action C.
DATES = (
    "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate",
    "PerformedProcedureStepStartDate", "PerformedProcedureStepEndDate", "ScheduledProcedureStepStartDate",
    "AdmittingDate", "DateOfSecondaryCapture", "LastMenstrualDate",
)  # fmt: skip
TIMES = ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime", "PerformedProcedureStepStartTime")


def full() -> pydicom.FileDataset:
    """A radiograph whose header reports everything about its patient, at the top, nested, and in private."""
    made = dataset(chest(), bits=12, PatientID="PID-SECRET", PatientName="Secretova^Anna")
    made.SOPClassUID = ComputedRadiographyImageStorage
    for keyword, (_, value) in TABLE.items():
        setattr(made, keyword, value)
    for keyword in SEQUENCES:
        setattr(made, keyword, [item()])
    for keyword in DATES:
        setattr(made, keyword, "20260305")
    for keyword in TIMES:
        setattr(made, keyword, "101112")
    made.AcquisitionDateTime = "20260305101112.5+0100"
    made.SourceImageSequence = [reference()]
    made.ProcedureCodeSequence = [item(Dataset()), item(coded("113040"))]  # kept where a code is known
    block = made.private_block(0x0029, "SECRET VENDOR", create=True)
    block.add_new(0x10, "LO", "SECRET")
    for group in (0x6000, 0x6002):
        made.add_new((group, 0x0022), "LO", "SECRET")
        made.add_new((group, 0x3000), "OW", b"SECRET")
        made.add_new((group, 0x4000), "LT", "SECRET")
    made.add_new((0x5000, 0x2500), "LO", "SECRET")
    made.add_new((0x5002, 0x3000), "OW", b"SECRET")
    made.add_new((0x0008, 0x9ABC), "LO", "SECRET")  # no attribute of the dictionary
    made.add_new((0x0042, 0x0010), "ST", "SECRET")  # free text that the table leaves to the reader
    made.Manufacturer, made.BodyPartExamined, made.ViewPosition = "Philips Medical of SECRET", "CHEST", "PA"
    made.SoftwareVersions = "of Secretova"
    made.file_meta.SourceApplicationEntityTitle = "SECRET"
    made.file_meta.ImplementationVersionName = "SECRET"
    made.preamble = b"SECRET".ljust(128, b"\0")
    return made


def item(inner: Dataset | None = None) -> Dataset:
    made = inner if inner is not None else Dataset()
    made.PatientName = made.PatientID = made.CodeMeaning = "PID-SECRET"
    made.PersonName, made.StudyDate = "SECRET", "20260305"
    made.private_block(0x0031, "SECRET VENDOR", create=True).add_new(1, "LO", "SECRET")
    return made


def coded(value: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator = value, "DCM"
    return made


def reference() -> Dataset:
    made = Dataset()
    made.StudyDate = "20260305"
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3.9"
    made.PurposeOfReferenceCodeSequence = [item()]
    return made


def cleaned(made: Dataset, key: bytes = KEY, **options: bool) -> tuple[bytes, pydicom.FileDataset]:
    out, _ = deidentify(read_dataset(as_bytes(made)), Pseudonyms(key), **options)
    data = to_bytes(out)
    return data, pydicom.dcmread(io.BytesIO(data))


def as_bytes(made: Dataset) -> bytes:
    buffer = io.BytesIO()
    syntax = made.file_meta.TransferSyntaxUID
    pydicom.dcmwrite(
        buffer,
        made,
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
        enforce_file_format=True,
    )
    return buffer.getvalue()


@pytest.fixture(scope="module")
def outcome() -> tuple[bytes, pydicom.FileDataset]:
    return cleaned(full())


@pytest.mark.parametrize("keyword", TABLE)
def test_an_attribute_is_treated_as_the_standard_states(outcome, keyword: str) -> None:
    action, value = TABLE[keyword]
    found = outcome[1].get(keyword)
    if action.startswith("X"):
        assert keyword not in outcome[1]
    elif action == "Z":
        assert keyword in outcome[1]
        assert not found or keyword == "AccessionNumber"
    else:
        assert found
    assert str(found) != str(value)


@pytest.mark.parametrize("keyword", SEQUENCES)
def test_a_sequence_about_people_goes(outcome, keyword: str) -> None:
    assert not outcome[1].get(keyword)
    assert (keyword in outcome[1]) == (SEQUENCES[keyword] == "X/Z")


def test_nothing_of_the_identity_is_left_in_the_bytes(outcome) -> None:
    assert b"SECRET" in as_bytes(full())
    for word in (b"SECRET", b"Secretova", b"20260305", b"19610203", b"1.2.3."):
        assert word not in outcome[0], word


def test_what_is_needed_to_read_the_image_stays(outcome) -> None:
    kept = outcome[1]
    assert (kept.Manufacturer, kept.BodyPartExamined, kept.ViewPosition) == ("Philips", "CHEST", "PA")
    assert kept.PixelData == full().PixelData
    assert kept.SourceImageSequence[0].ReferencedSOPClassUID == ComputedRadiographyImageStorage


def test_a_code_stays_with_the_words_of_the_standard_and_nothing_else(outcome) -> None:
    (code,) = outcome[1].ProcedureCodeSequence
    assert [element.keyword for element in code] == ["CodeValue", "CodingSchemeDesignator", "CodeMeaning"]
    assert (code.CodeValue, code.CodeMeaning) == ("113040", "Lossy Compression")


def test_a_device_that_is_not_known_is_recognised_again_but_not_named() -> None:
    one, two, other = (
        cleaned(dataset(chest(), Manufacturer=maker, ManufacturerModelName="Secretova 1"))[1]
        for maker in ("Secretova & Sons", "Secretova & Sons", "Makers")
    )
    assert one.Manufacturer == two.Manufacturer != other.Manufacturer
    assert len(one.Manufacturer) == len(one.ManufacturerModelName) == 16


def test_private_curve_and_overlay_groups_go(outcome) -> None:
    groups = {element.tag.group for element in outcome[1].iterall()}
    assert not {group for group in groups if group % 2 or group >> 8 in {0x50, 0x60}}


def test_the_file_states_what_was_done(outcome) -> None:
    text = outcome[1]
    codes = [code.CodeValue for code in text.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107"]
    assert {code.CodingSchemeDesignator for code in text.DeidentificationMethodCodeSequence} == {"DCM"}
    assert (text.PatientIdentityRemoved, text.LongitudinalTemporalInformationModified) == ("YES", "MODIFIED")
    assert all(len(method) <= 64 for method in text.DeidentificationMethod)
    assert text.preamble == bytes(128)
    assert text.file_meta.MediaStorageSOPInstanceUID == text.SOPInstanceUID
    assert "SourceApplicationEntityTitle" not in text.file_meta


def test_dates_move_by_whole_days_and_times_of_day_stay(outcome) -> None:
    moved = {outcome[1][keyword].value for keyword in DATES}
    (day,) = moved
    days = date(2026, 3, 5) - date.fromisoformat(day)
    assert timedelta(days=366) <= days <= timedelta(days=3650)
    assert outcome[1].AcquisitionDateTime == f"{day}101112.5"
    assert {outcome[1][keyword].value for keyword in TIMES} == {"101112"}
    assert outcome[1].SourceImageSequence[0].StudyDate == day


def test_a_patients_studies_stay_together_and_as_far_apart_as_they_were() -> None:
    one, two, other = (
        cleaned(
            dataset(chest(), PatientID=pid, StudyDate=day, StudyInstanceUID=uid, FrameOfReferenceUID=FRAME)
        )[1]
        for pid, day, uid in (("7", "20260101", "1.1"), ("7", "20260401", "1.2"), ("8", "20260101", "1.3"))
    )
    assert one.PatientID == two.PatientID != other.PatientID
    assert date.fromisoformat(two.StudyDate) - date.fromisoformat(one.StudyDate) == timedelta(days=90)
    assert len({one.StudyInstanceUID, two.StudyInstanceUID, other.StudyInstanceUID}) == 3
    assert one.FrameOfReferenceUID == two.FrameOfReferenceUID
    assert one.StudyInstanceUID.startswith("2.25.")
    assert len(one.StudyInstanceUID) <= 64


def test_a_reference_still_leads_to_the_image_it_named() -> None:
    source = dataset(chest(), PatientID="7", SOPInstanceUID="1.2.3.9")
    assert cleaned(source)[1].SOPInstanceUID == (
        cleaned(full())[1].SourceImageSequence[0].ReferencedSOPInstanceUID
    )


def test_another_key_gives_other_names_dates_and_uids() -> None:
    made = dataset(chest(), PatientID="7", StudyDate="20260101", StudyInstanceUID="1.1", AccessionNumber="A1")
    one, two = cleaned(made)[1], cleaned(made, b"another key, as long as that one")[1]
    for keyword in ("PatientID", "StudyDate", "StudyInstanceUID", "AccessionNumber"):
        assert one[keyword].value != two[keyword].value


def test_the_same_number_of_two_issuers_is_distinguished_by_the_issuer() -> None:
    one, two = (
        cleaned(dataset(chest(), PatientID="7", IssuerOfPatientID=issuer))[1]
        for issuer in ("St. Anna", "Harbour")
    )
    assert one.IssuerOfPatientID != two.IssuerOfPatientID
    assert "Anna" not in one.IssuerOfPatientID


def test_what_has_no_patient_gets_none() -> None:
    assert cleaned(dataset(chest()))[1].PatientID == ""


def test_the_patients_characteristics_are_kept_where_asked_for() -> None:
    kept = cleaned(full(), keep_characteristics=True)[1]
    assert (kept.PatientSex, kept.PatientAge, kept.PatientWeight) == ("F", "065Y", 61)
    assert "MedicalAlerts" not in kept
    assert kept.PatientBirthDate == ""
    assert "113108" in [code.CodeValue for code in kept.DeidentificationMethodCodeSequence]


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ({"PatientAge": "089Y"}, "089Y"),
        ({"PatientAge": "090Y"}, "090Y"),
        ({"PatientAge": "101Y"}, "090Y"),
        ({"PatientAge": "004M"}, "004M"),
        ({"PatientAge": "95"}, "090Y"),
        ({"PatientAge": "aged"}, None),
        ({"PatientBirthDate": "19300101", "StudyDate": "20260101"}, "090Y"),
        ({"PatientBirthDate": "19860102", "StudyDate": "20260105"}, "040Y"),
        ({"PatientBirthDate": "20250701", "StudyDate": "20260105"}, "006M"),
        ({}, None),
    ],
)
def test_every_age_above_89_is_reported_as_90(text: dict, age: str | None) -> None:
    assert cleaned(dataset(chest(), **text), keep_characteristics=True)[1].get("PatientAge") == age


@pytest.mark.parametrize(
    ("before", "pattern"),
    [("2026", 4), ("202603", 6), ("20260305", 8), ("20260305101112.123456&x", 0), ("soon", 0)],
)
def test_a_time_stays_as_precise_as_it_was(before: str, pattern: int) -> None:
    after = cleaned(dataset(chest(), PatientID="7", AcquisitionDateTime=before))[1].AcquisitionDateTime
    assert len(after) == pattern
    assert after != before


@pytest.mark.parametrize(
    "keyword", ["ImagerPixelSpacing", "SeriesNumber", "StudyTime", "PatientAge", "StudyDate"]
)
def test_a_text_in_the_place_of_a_number_is_not_passed_on(keyword: str) -> None:
    value = {"ImagerPixelSpacing": r"1\1 ", "SeriesNumber": "1234", "StudyTime": "1011", "PatientAge": "064Y"}
    made = dataset(chest(), PatientID="7", **{keyword: value.get(keyword, "20260305").strip()})
    data = as_bytes(made)
    tampered = data.replace(
        value.get(keyword, "20260305").encode(), b"MissDoe8" if keyword == "StudyDate" else b"JDoe"
    )
    assert tampered != data
    out, _ = deidentify(read_dataset(tampered), Pseudonyms(KEY), keep_characteristics=True)
    assert b"Doe" not in to_bytes(out)
