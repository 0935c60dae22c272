"""Receivers on loopback that keep what they get and can refuse, be slow or drop the connection."""

from __future__ import annotations

import json
import socket
import threading
import time
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pydicom
import pytest
from PIL import Image
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

from tests.factories import AnalysisFactory, ModelVersionFactory, ScanFactory, cam, make_active, prediction
from webapp.analysis.models import Analysis
from webapp.analysis.services import analysis_done
from webapp.core import storage
from webapp.registry.models import ModelVersion
from webapp.results.models import Destination, ResultDelivery
from webapp.results.services import destination_create, rule_create
from webapp.scans.models import Scan
from worker.jobs.send import SendJob

DX = "1.2.840.10008.5.1.4.1.1.1.1"
ALL_KINDS = ["result", "overlay", "pdf", "heatmap", "reading", "marks", "key_images"]


class Pacs:
    """A storage SCP. `statuses` are those of the next objects, then 0; `drop_after` aborts in the middle."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.drop_after: int | None = None
        self.seconds = 0.0
        self.datasets: list[pydicom.Dataset] = []
        entity = AE(ae_title="PACS")
        entity.supported_contexts = AllStoragePresentationContexts
        entity.add_supported_context(Verification)
        entity.require_called_aet = True
        handlers = [(evt.EVT_C_STORE, self._store)]
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self.server.socket.getsockname()[1]

    def _store(self, event) -> int:
        time.sleep(self.seconds)
        if self.drop_after is not None and len(self.datasets) >= self.drop_after:
            event.assoc.abort()
            return 0xC000
        status = self.statuses.pop(0) if self.statuses else 0
        if status == 0:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.datasets.append(dataset)
        return status

    def uids(self) -> list[str]:
        return [dataset.SOPInstanceUID for dataset in self.datasets]

    def modalities(self) -> list[str]:
        return sorted(dataset.Modality for dataset in self.datasets)

    def stop(self) -> None:
        self.server.shutdown()


class Web:
    """An HTTP server: `statuses` are those of the next requests, then 200; `got`: (path, headers, body)."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.response = b""
        self.got: list[tuple[str, dict, bytes]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                web.got.append((self.path, dict(self.headers), body))
                self.send_response(web.statuses.pop(0) if web.statuses else 200)
                self.end_headers()
                self.wfile.write(web.response)

            do_GET = do_POST

            def log_message(self, *args) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/base"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def json(self) -> list[dict]:
        return [json.loads(body) for _, _, body in self.got]

    def objects(self) -> list[bytes]:
        """The DICOM files of the multipart requests."""
        found = []
        for _, headers, body in self.got:
            whole = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body
            found += [part.get_payload(decode=True) for part in BytesParser().parsebytes(whole).walk()][1:]
        return found

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Mllp:
    """An HL7 receiver: `codes` are those of the next acknowledgements, then AA; "" closes without one."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.got: list[str] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                received = b""
                while not received.endswith(b"\x1c\r") and (part := connection.recv(4096)):
                    received += part
                if received:
                    self._respond(connection, received.strip(b"\x0b\x1c\r").decode())

    def _respond(self, connection: socket.socket, message: str) -> None:
        self.got.append(message)
        code = self.codes.pop(0) if self.codes else "AA"
        if code:
            control_id = message.split("|")[9]
            response = f"MSH|^~\\&|EHR||HILUM||20260101||ACK^R01|1|P|2.5.1\rMSA|{code}|{control_id}\r"
            connection.sendall(b"\x0b" + response.encode() + b"\x1c\r")

    def stop(self) -> None:
        self.socket.close()


@pytest.fixture
def pacs():
    pacs = Pacs()
    yield pacs
    pacs.stop()


@pytest.fixture
def web():
    web = Web()
    yield web
    web.stop()


@pytest.fixture
def mllp():
    mllp = Mllp()
    yield mllp
    mllp.stop()


@pytest.fixture
def admin(person, site):
    return person("chief", role="admin", site=site)


@pytest.fixture
def destination(site, admin, pacs) -> Destination:
    return destination_create(
        site=site, actor=admin, name="PACS", kind="dicom", host="127.0.0.1", port=pacs.port, called_ae="PACS"
    )


@pytest.fixture
def rule(admin):
    """Adds a rule: `rule(destination, when="at_once", kinds=[...])`."""

    def add(destination: Destination, when: str = "at_once", kinds=("result",), **fields):
        return rule_create(destination=destination, actor=admin, when=when, kinds=list(kinds), **fields)

    return add


@pytest.fixture
def finish(site):
    """Makes a scan with its image and a finished analysis: `finish(pneumonia=0.9)`."""

    def make(*, scan: Scan | None = None, prediction_of=None, **probabilities: float) -> Analysis:
        scan = scan or ScanFactory(site=site, metadata={"SOPClassUID": DX, "SOPInstanceUID": "1.2.5.1"})
        path = storage.path_of(scan.display_name)
        path.parent.mkdir(parents=True, exist_ok=True)
        levels = np.linspace(0, 4000, scan.rows * scan.columns).reshape(scan.rows, scan.columns)
        Image.fromarray(levels.astype(np.uint16)).save(path)
        version = ModelVersion.objects.filter(slot=scan.slot, status="active").first()
        if version is None or scan.analyses.exists():
            version = make_active(ModelVersionFactory(status="candidate"))
        AnalysisFactory(scan=scan, model_version=version)
        (analysis,) = Analysis.objects.filter(scan=scan, status="queued").claim()
        found = prediction_of or prediction(**(probabilities or {"pneumonia": 0.9}))
        assert analysis_done(analysis=analysis, prediction=found, cam=cam(), seconds=1.0)
        return Analysis.objects.get(pk=analysis.pk)

    return make


@pytest.fixture
def send_all():
    """Lets the worker send what is due, and with `later` what waits for its time."""

    def send_all(*, later: bool = False) -> int:
        job, steps = SendJob(), 0
        if later:
            Destination.objects.update(paused_until=None)
            ResultDelivery.objects.update(next_at="2026-01-01T00:00Z")
        while job.step():
            steps += 1
        return steps

    return send_all
