"""Orthanc as the PACS: what it receives by C-STORE and by STOW-RS, it stores and returns."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests import result_content
from tests.webapp.results.conftest import ALL_KINDS
from webapp.labels.marks.services import mark_add
from webapp.labels.readings import reading_sign
from webapp.results.models import ResultDelivery
from webapp.results.services import destination_create, rule_create

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
PLUGIN = "libOrthancDicomWeb.so"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Orthanc:
    def __init__(self, folder: Path, program: str, plugins: list[str]) -> None:
        self.http, self.dicom = free_port(), free_port()
        settings = {
            "Name": "test",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "Plugins": plugins,
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "DicomAet": "ORTHANC",
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        path = folder / "orthanc.json"
        path.write_text(json.dumps(settings))
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen([program, str(path)], stdout=self.log, stderr=self.log)

    def get(self, address: str):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{address}", timeout=10) as response:
            return json.loads(response.read())

    def wait(self) -> None:
        for _ in range(300):
            try:
                self.get("/system")
                return
            except OSError:
                assert self.process.poll() is None, "Orthanc ended"
                time.sleep(0.2)
        raise AssertionError("Orthanc does not respond")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def tags(self) -> list[dict]:
        return [self.get(f"/instances/{key}/simplified-tags") for key in self.get("/instances")]


@pytest.fixture
def orthanc(tmp_path):
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    found = [*Path("/usr").glob(f"lib/**/{PLUGIN}*"), *Path("/usr/share/orthanc").glob(f"**/{PLUGIN}*")]
    if not program or not found:
        pytest.skip("Orthanc with DICOMweb is not installed (Debian: orthanc, orthanc-dicomweb)")
    server = Orthanc(tmp_path, program, [str(found[0])])
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("kind", ["dicom", "stow"])
def test_every_object_arrives_in_orthanc_once(orthanc, site, admin, owner, finish, send_all, kind):
    address = (
        {"host": "127.0.0.1", "port": orthanc.dicom, "called_ae": "ORTHANC"}
        if kind == "dicom"
        else {"url": f"http://127.0.0.1:{orthanc.http}/dicom-web"}
    )
    destination = destination_create(site=site, actor=admin, name="Orthanc", kind=kind, **address)
    rule_create(destination=destination, actor=admin, when="after_reading", kinds=ALL_KINDS)
    scan = finish().scan
    mark_add(scan=scan, actor=owner, kind="length", points=[[10, 10], [50, 50]])
    reading_sign(study=scan.study, actor=owner, findings=["pneumonia"], comment="Left.")
    send_all()
    delivery = ResultDelivery.objects.get()
    assert (delivery.status, delivery.error_code) == ("delivered", "")
    stored = orthanc.tags()
    assert sorted(one["Modality"] for one in stored) == ["DOC", "OT", "PR", "SR", "SR", "SR"]
    assert {one["StudyInstanceUID"] for one in stored} == {scan.study.study_instance_uid}
    assert {one["PatientID"] for one in stored} == {scan.patient.patient_id}
    (study,) = orthanc.get("/studies")
    assert orthanc.get(f"/studies/{study}/statistics")["CountInstances"] == len(stored)


def test_orthanc_takes_every_kind_of_object(orthanc):
    for name, encoded in result_content.every_object().items():
        request = urllib.request.Request(f"http://127.0.0.1:{orthanc.http}/instances", data=encoded)
        with urllib.request.urlopen(request, timeout=20) as response:
            assert json.loads(response.read())["Status"] == "Success", name
