"""Orthanc as the PACS: it sends by C-STORE and STOW-RS, and priors are fetched from it in every way."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.classifier.images.samples import write
from tests.factories import PatientFactory
from tests.faults.instance import free_port
from tests.webapp.dicom.conftest import listener, peer_of, room  # noqa: F401
from tests.webapp.dicom.objects import radiograph
from webapp.accounts.models import Role, User
from webapp.accounts.services import membership_set, token_create
from webapp.dicom.models import PriorFetch
from webapp.dicom.priors import priors_request
from webapp.dicom.services import sender_set
from webapp.scans.models import Upload
from worker.jobs.dicom.job import DicomJob

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


class Orthanc:
    """A server of the test's own, driven by its REST API."""

    def __init__(self, folder: Path, listener_port: int, web: dict) -> None:
        self.http, self.dicom = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http}"
        settings = {
            "Name": "PACS",
            "DicomAet": "PACS",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {"hilum": ["HILUM", "127.0.0.1", listener_port]},
            "Plugins": [str(PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Servers": {"hilum": web}},
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.log = (folder / "orthanc.log").open("wb")
        self.process = subprocess.Popen(
            ["Orthanc", str(folder / "orthanc.json")], stdout=self.log, stderr=self.log
        )
        deadline = time.monotonic() + 60
        while not self.is_up():
            assert time.monotonic() < deadline, (folder / "orthanc.log").read_text()
            time.sleep(0.2)

    def is_up(self) -> bool:
        try:
            return bool(self.ask("/system"))
        except OSError:
            return False

    def ask(self, path: str, data: bytes | None = None) -> dict:
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url + path, data), timeout=60
            ) as response:
                return json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            pytest.fail(f"{path}: {error.read().decode()}\n{Path(self.log.name).read_text()[-2000:]}")

    def add(self, image) -> str:
        file = io.BytesIO()
        write(file, image)
        return self.ask("/instances", file.getvalue())["ID"]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


@pytest.fixture
def orthanc(tmp_path, listener, live_server, site):  # noqa: F811
    if not (shutil.which("Orthanc") and PLUGIN.exists()):
        pytest.skip("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")
    user = User.objects.create_user("pacs")
    role = Role.objects.create(name="archive", permissions=["scan.upload", "scan.view"])
    membership_set(user=user, site=site, role=role)
    _, token = token_create(user=user, site=site, name="pacs")
    sender_set(site=site, calling_title="PACS", networks=["127.0.0.0/8"])
    # The live server of the tests does not take a body in chunks; gunicorn does.
    web = {"Url": f"{live_server.url}/dicomweb/", "ChunkedTransfers": False}
    web["HttpHeaders"] = {"Authorization": f"Bearer {token}"}
    server = Orthanc(tmp_path, listener.port, web)
    yield server
    server.stop()


def names() -> set[str]:
    return set(Upload.objects.values_list("filename", flat=True))


def test_orthanc_sends_by_c_store_and_by_stow_rs(orthanc):
    first, second = (
        orthanc.add(radiograph(SOPInstanceUID="1.2.1")),
        orthanc.add(radiograph(SOPInstanceUID="1.2.2")),
    )
    orthanc.ask("/modalities/hilum/store", first.encode())
    assert names() == {"1.2.1.dcm"}
    body = json.dumps({"Resources": [second], "Synchronous": True}).encode()
    orthanc.ask("/dicom-web/servers/hilum/stow", body)
    assert names() == {"1.2.1.dcm", "1.2.2.dcm"}


@pytest.mark.parametrize("retrieve", ["get", "move", "web"])
def test_priors_are_fetched_from_orthanc(orthanc, site, peer_of, retrieve):  # noqa: F811
    study = {"StudyInstanceUID": "1.2.3.4", "StudyDate": "20251101"}
    for uid in ("1.2.1", "1.2.2"):
        orthanc.add(radiograph(SOPInstanceUID=uid, **study))
    orthanc.add(radiograph(PatientID="P2"))
    peer = peer_of(port=orthanc.dicom, url=f"{orthanc.url}/dicom-web", retrieve=retrieve)
    priors_request(patient=PatientFactory(site=site, patient_id="P1"), peer=peer)
    assert DicomJob().step()
    fetch = PriorFetch.objects.get()
    assert (fetch.status, fetch.error_code, fetch.studies, fetch.retrieved) == ("done", "", 1, 2)
    assert names() == {"1.2.1.dcm", "1.2.2.dcm"}
