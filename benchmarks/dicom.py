"""Images a second by C-STORE and STOW-RS, next to Orthanc on the same machine in the same run.

`python benchmarks/dicom.py [--images 200] [--rounds 3] [--senders 4]` needs Debian's `orthanc`,
`orthanc-dicomweb` and `dcmtk`. Both servers get the same files from the same senders (`storescu`, or threads
with ten instances a request), turn by turn; every round has instances of its own. `ratio` is Hilum's rate by
Orthanc's; `processed` is Hilum's until each file is a scan or refused.
`parse` is the time of parsing one file in the sandbox alone. Prints one JSON object; times in seconds.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom import FileDataset, dcmread
from pydicom.uid import generate_uid
from upload_to_result import ROOT, free_ports, own_instance

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
ORTHANC = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
PER_REQUEST = 10
PASSWORD = uuid.uuid4().hex


@dataclass(frozen=True)
class Server:
    title: str
    dicom_port: int
    stow_url: str
    headers: dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200, help="images a round (default 200)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each kind (default 3)")
    parser.add_argument("--senders", type=int, default=4, help="senders at once (default 4)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), asked.images, asked.rounds, asked.senders), indent=2))


def measured(folder: Path, images: int, rounds: int, senders: int) -> dict[str, object]:
    (folder / "hilum").mkdir()
    (folder / "orthanc").mkdir()
    dicom_port = free_ports(1)[0]
    options = {"DICOM_PORT": str(dicom_port), "HILUM_API_RATE": "100000"}
    rates: dict[str, dict[str, list[float]]] = {}
    with own_instance(folder / "hilum", PASSWORD, **options) as url, orthanc(folder / "orthanc") as other:
        token = manage(folder / "hilum", "create_token", "clinician").strip()
        ours = Server("HILUM", dicom_port, f"{url}/dicomweb/studies", {"Authorization": f"Bearer {token}"})
        ways: dict[str, Callable] = {"c_store": c_store, "stow_rs": stow_rs}
        for number in range(rounds):
            for way, send in ways.items():
                found = rates.setdefault(way, {"hilum": [], "orthanc": [], "processed": []})
                servers = {"hilum": ours, "orthanc": other}
                for name in sorted(servers, reverse=bool(number % 2)):
                    parts = made(folder / f"{way}-{number}-{name}", images, senders)
                    began = time.perf_counter()
                    send(servers[name], parts)
                    found[name].append(images / (time.perf_counter() - began))
                    if name == "hilum":
                        wait_until_processed(url, token)
                        found["processed"].append(images / (time.perf_counter() - began))
        parse = parse_seconds(folder, made(folder / "alone", 50, 1)[0])
    report: dict[str, object] = {"images": images, "rounds": rounds, "senders": senders}
    for way, found in rates.items():
        middle = {name: round(statistics.median(values), 1) for name, values in found.items()}
        report[way] = middle | {"ratio": round(middle["hilum"] / middle["orthanc"], 2)}
    return report | {"parse": parse}


def c_store(server: Server, parts: Sequence[Path]) -> None:
    """One association a folder, all at once."""
    command = ["storescu", "-aec", server.title, "-aet", "BENCH", "+sd", "127.0.0.1", str(server.dicom_port)]
    senders = [subprocess.Popen([*command, str(part)]) for part in parts]
    if any(sender.wait() for sender in senders):
        raise SystemExit(f"{server.title} did not take every object")


def stow_rs(server: Server, parts: Sequence[Path]) -> None:
    def send(part: Path) -> None:
        files = sorted(part.iterdir())
        for at in range(0, len(files), PER_REQUEST):
            post(server, files[at : at + PER_REQUEST])

    with concurrent.futures.ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(send, parts))


def post(server: Server, files: Sequence[Path]) -> None:
    mark = uuid.uuid4().hex
    head = f"--{mark}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(head + file.read_bytes() + b"\r\n" for file in files) + f"--{mark}--\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={mark}'
    headers = server.headers | {"Content-Type": kind, "Accept": "application/dicom+json"}
    request = urllib.request.Request(server.stow_url, body, headers)  # noqa: S310 - an address of our own
    with urllib.request.urlopen(request, timeout=300) as response:  # noqa: S310
        # FailedSOPSequence, which Orthanc also returns empty.
        if response.status != 200 or json.load(response).get("00081198", {}).get("Value"):
            raise SystemExit(f"{server.stow_url} did not take every object")


def made(folder: Path, images: int, senders: int) -> list[Path]:
    """`images` radiographs of new studies, shared among one folder a sender."""
    parts = [folder / str(number) for number in range(senders)]
    for part in parts:
        part.mkdir(parents=True)
    image = radiograph()
    pixels = image.pixel_array.copy()
    for number in range(images):
        pixels[0, :4] = list(uuid.uuid4().bytes[:4])
        image.PixelData = pixels.tobytes()
        image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.PatientID = f"BENCH-{number % 20}"
        image.save_as(parts[number % senders] / f"{number}.dcm", enforce_file_format=True)
    return parts


def radiograph() -> FileDataset:
    """A simulated radiograph as DICOM, without compression."""
    from classifier.phantom.files import write_dicom
    from classifier.phantom.render import render

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "phantom.dcm"
        person = {"patient_id": "BENCH", "patient_name": "PHANTOM^BENCH"}
        write_dicom(path, render(7, size=1024), taken=datetime(2026, 1, 1), **person)
        return dcmread(path)


@contextlib.contextmanager
def orthanc(folder: Path) -> Iterator[Server]:
    http, dicom = free_ports(2)
    settings = {
        "DicomAet": "PACS",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": http,
        "DicomPort": dicom,
        "AuthenticationEnabled": False,
        "SyncStorageArea": True,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{http}/system")
        yield Server("PACS", dicom, f"http://127.0.0.1:{http}/dicom-web/studies", {})
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):  # noqa: S310
            return
        time.sleep(0.2)
    raise SystemExit(f"{url} did not come up")


def wait_until_processed(url: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    for status in ("received", "parsing"):
        address = f"{url}/api/v1/uploads/?status={status}&limit=1"
        while True:
            request = urllib.request.Request(address, headers=headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                if not json.load(response)["results"]:
                    break
            time.sleep(0.2)


def manage(data: Path, *command: str) -> str:
    surroundings = os.environ | {"HILUM_DATA": str(data)}
    run = [sys.executable, str(ROOT / "manage.py"), *command]
    return subprocess.run(run, env=surroundings, check=True, capture_output=True, text=True).stdout


def parse_seconds(folder: Path, part: Path) -> float:
    """Median seconds of parsing one file in the sandbox, without any queue."""
    from classifier.images.sandbox.client import ParsingHelper

    taken = []
    with ParsingHelper() as helper:
        for number, file in enumerate(sorted(part.iterdir())):
            out = folder / f"parsed-{number}"
            out.mkdir()
            began = time.perf_counter()
            helper.parse(file, out)
            taken.append(time.perf_counter() - began)
    return round(statistics.median(taken), 4)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
