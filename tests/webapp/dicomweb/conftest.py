"""Stored images that came as DICOM, and clients with tokens."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pydicom import FileDataset
from rest_framework.test import APIClient

from classifier.images.dicom.metadata import read_metadata
from tests.classifier.images.samples import write
from tests.factories import PatientFactory, ScanFactory, SeriesFactory, StudyFactory
from tests.webapp.dicom.objects import radiograph
from webapp.accounts.services import token_create
from webapp.core import storage
from webapp.scans.models import Patient, Scan, Series, Study


@pytest.fixture
def token_of():
    def make(user, site, scopes=("scan.upload", "scan.view")) -> str:
        return token_create(user=user, site=site, name="test", scopes=scopes)[1]

    return make


@pytest.fixture
def client_of(token_of):
    def make(user, site, scopes=("scan.upload", "scan.view")) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_of(user, site, scopes)}")
        return client

    return make


@pytest.fixture
def client(client_of, owner, site) -> APIClient:
    return client_of(owner, site)


@pytest.fixture
def stored(site):
    """Makes a scan of this data set as ingest leaves it, with its files."""

    def make(image: FileDataset | None = None, **attributes) -> Scan:
        image = image or radiograph(**attributes)
        return filed(image, site)

    return make


def filed(image: FileDataset, site) -> Scan:
    patient = Patient.objects.filter(site=site, patient_id=image.PatientID).first() or PatientFactory(
        site=site, patient_id=str(image.PatientID), name=str(image.PatientName)
    )
    uid = str(image.StudyInstanceUID)
    study = Study.objects.filter(patient=patient, study_instance_uid=uid).first() or StudyFactory(
        patient=patient,
        study_instance_uid=uid,
        accession_number=image.get("AccessionNumber", ""),
        description=image.get("StudyDescription", ""),
    )
    uid = str(image.SeriesInstanceUID)
    series = Series.objects.filter(study=study, series_instance_uid=uid).first() or SeriesFactory(
        study=study, series_instance_uid=uid, modality=image.Modality
    )
    scan = ScanFactory(
        site=site,
        series=series,
        sop_instance_uid=str(image.SOPInstanceUID),
        metadata=read_metadata(image),
        rows=image.Rows,
        columns=image.Columns,
        slope=2.0,
        intercept=-100.0,
    )
    for name in (scan.upload.stored_name, scan.display_name, scan.preview_name):
        storage.path_of(name).parent.mkdir(parents=True, exist_ok=True)
    write(storage.path_of(scan.upload.stored_name), image)
    levels = np.arange(image.Rows * image.Columns, dtype=np.uint16).reshape(image.Rows, image.Columns)
    Image.fromarray(levels).save(storage.path_of(scan.display_name))
    Image.fromarray((levels >> 5).astype(np.uint8)).save(storage.path_of(scan.preview_name))
    return scan
