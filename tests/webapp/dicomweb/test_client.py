"""dicomweb-client against the live server: search, retrieve and store as an integrator does."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless
from requests import HTTPError

from tests.classifier.images.samples import chest
from tests.webapp.dicom.objects import radiograph
from webapp.accounts.models import Role, User
from webapp.accounts.services import membership_set
from webapp.core import storage
from webapp.scans.models import Upload


@pytest.fixture
def archive(live_server, site):
    """A service account; the roles of the migrations are gone once a live server was used."""
    role = Role.objects.create(name="archive", permissions=["scan.upload", "scan.view"])
    user = User.objects.create_user("archive")
    membership_set(user=user, site=site, role=role)
    return user


@pytest.fixture
def dicomweb(live_server, archive, site, token_of):
    headers = {"Authorization": f"Bearer {token_of(archive, site)}"}
    return DICOMwebClient(f"{live_server.url}/dicomweb", headers=headers)


def keys(scan) -> tuple[str, str, str]:
    return scan.study.study_instance_uid, scan.series.series_instance_uid, scan.sop_instance_uid


def test_a_study_is_found_and_its_file_retrieved_byte_by_byte(dicomweb, stored):
    scan = stored(PatientID="P7", PatientName="DOE^Jane", AccessionNumber="A1")
    [found] = [
        Dataset.from_json(one) for one in dicomweb.search_for_studies(search_filters={"PatientID": "P7"})
    ]
    assert (found.PatientName, found.AccessionNumber) == ("DOE^Jane", "A1")
    assert (found.NumberOfStudyRelatedSeries, found.NumberOfStudyRelatedInstances) == (1, 1)
    [series] = dicomweb.search_for_series(found.StudyInstanceUID)
    [instance] = dicomweb.search_for_instances(found.StudyInstanceUID)
    assert series["0020000E"]["Value"] == [keys(scan)[1]]
    assert instance["00080018"]["Value"] == [keys(scan)[2]]
    image = dicomweb.retrieve_instance(*keys(scan))
    assert image == pydicom.dcmread(storage.path_of(scan.upload.stored_name))


def test_a_study_and_a_series_come_with_all_their_instances(dicomweb, stored):
    first = stored()
    second = stored(
        StudyInstanceUID=first.study.study_instance_uid,
        SeriesInstanceUID=first.series.series_instance_uid,
        SOPInstanceUID="1.2.99",
    )
    study, series, _ = keys(first)
    for images in (dicomweb.retrieve_study(study), dicomweb.retrieve_series(study, series)):
        assert {image.SOPInstanceUID for image in images} == {keys(first)[2], keys(second)[2]}


def test_metadata_are_the_files_attributes_with_bulk_data_by_reference(dicomweb, stored, live_server):
    scan = stored(RadiationMachineName="ROOM_2")
    [metadata] = dicomweb.retrieve_study_metadata(keys(scan)[0])
    read = pydicom.dcmread(storage.path_of(scan.upload.stored_name))
    parsed = Dataset.from_json({tag: one for tag, one in metadata.items() if "BulkDataURI" not in one})
    for element in read:
        if element.keyword != "PixelData":
            assert parsed[element.tag].value == element.value
    url = metadata["7FE00010"]["BulkDataURI"]
    assert url.endswith(f"{keys(scan)[2]}/bulkdata/7FE00010")
    # The client names the host without its port, and so does the address that it gets.
    address = url.replace("http://localhost/", f"{live_server.url}/")
    assert dicomweb.retrieve_bulkdata(address) == [read.PixelData]


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_frames_come_decoded_or_as_stored(dicomweb, stored, syntax):
    scan = stored(radiograph(syntax))
    [decoded] = dicomweb.retrieve_instance_frames(
        *keys(scan), [1], media_types=(("application/octet-stream", "1.2.840.10008.1.2.1"),)
    )
    pixels = np.frombuffer(decoded, "<u2").reshape(scan.rows, scan.columns)
    np.testing.assert_array_equal(pixels, chest())
    kind = {JPEG2000Lossless: "image/jp2", JPEGLSLossless: "image/jls"}[syntax]
    [encoded] = dicomweb.retrieve_instance_frames(*keys(scan), [1], media_types=((kind, syntax),))
    read = pydicom.dcmread(storage.path_of(scan.upload.stored_name))
    assert encoded in read.PixelData


def test_an_uncompressed_frame_is_the_pixel_data(dicomweb, stored):
    scan = stored()
    [frame] = dicomweb.retrieve_instance_frames(*keys(scan), [1])
    assert frame == pydicom.dcmread(storage.path_of(scan.upload.stored_name)).PixelData


def test_instances_are_stored_and_reported(dicomweb, site, archive):
    images = [radiograph(StudyInstanceUID="1.2.3.4.5") for _ in range(3)]
    report = dicomweb.store_instances(images)
    assert len(report.ReferencedSOPSequence) == 3
    assert "FailedSOPSequence" not in report
    assert {(upload.site, upload.user) for upload in Upload.objects.all()} == {(site, archive)}
    uids = {f"{image.SOPInstanceUID}.dcm" for image in images}
    assert set(Upload.objects.values_list("filename", flat=True)) == uids
    assert dicomweb.store_instances(images[:1]).ReferencedSOPSequence
    assert Upload.objects.count() == 3


def test_an_instance_of_another_study_than_the_path_is_refused(dicomweb):
    with pytest.raises(HTTPError) as refused:
        dicomweb.store_instances([radiograph()], study_instance_uid="1.2.3.4.5")
    assert refused.value.response.status_code == 409
    report = Dataset.from_json(refused.value.response.text)
    assert report.FailedSOPSequence[0].FailureReason == 0xA900
    assert not Upload.objects.exists()
