"""How long one PNG takes from its POST to the result that the upload page shows, polled as that page polls.

`python benchmarks/upload_to_result.py` starts an instance of its own on a temporary data folder; with `--url`
and `--password` it uses one that runs. Prints one JSON object; times in seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import http.cookiejar
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, PngImagePlugin

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the worker has it
ROOT = Path(__file__).resolve().parent.parent
FIRST_LOOK, SLOWEST_LOOK, GROWTH = 0.25, 2.0, 1.15  # as in static/js/upload/page.js and http.js
GIVE_UP_SECONDS = 60.0
START_SECONDS = 300.0
WARM_UP = 2


@dataclass(frozen=True)
class Timing:
    post: float
    visible: float
    upload_id: str
    ok: bool


class Client:
    """A person at the page: signs in, uploads, looks."""

    def __init__(self, url: str) -> None:
        self.url, self._cookies = url.rstrip("/"), http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))

    def sign_in(self, username: str, password: str) -> None:
        self._send("/sign-in/")
        form = {"username": username, "password": password, "csrfmiddlewaretoken": self._token()}
        self._send("/sign-in/", urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded")

    def time_one(self, data: bytes, name: str) -> Timing:
        details = urllib.parse.quote(json.dumps({"filename": name, "modality": "cxr"}))
        began, wait = time.perf_counter(), FIRST_LOOK
        upload = self._send("/upload/file/", data, "application/octet-stream", {"X-Hilum-Upload": details})
        posted = time.perf_counter() - began
        while not upload["finished"] and time.perf_counter() - began < GIVE_UP_SECONDS:
            time.sleep(wait)
            wait = min(wait * GROWTH, SLOWEST_LOOK)
            asked = json.dumps({"ids": [upload["id"]]}).encode()
            upload = self._send("/upload/states/", asked, "application/json")["uploads"][upload["id"]]
        return Timing(posted, time.perf_counter() - began, upload["id"], upload["ok"])

    def _send(self, path: str, data: bytes | None = None, kind: str = "", headers: dict | None = None):
        request = urllib.request.Request(self.url + path, data, headers or {})  # noqa: S310 - as asked for
        if data is not None:
            request.add_header("Content-Type", kind)
            request.add_header("X-CSRFToken", self._token())
        with self._opener.open(request, timeout=GIVE_UP_SECONDS) as response:
            body = response.read()
            return json.loads(body) if "json" in response.headers.get("Content-Type", "") else body

    def _token(self) -> str:
        return next((cookie.value for cookie in self._cookies if "csrf" in cookie.name), "")


@contextlib.contextmanager
def own_instance(data: Path, password: str, **settings: str) -> Iterator[str]:
    """`make run`'s supervisor on `data` with further `settings`; yields its URL once it is ready."""
    port, dicom = free_ports(2)
    surroundings = {"HILUM_DATA": str(data), "HILUM_DEMO_PASSWORD": password}
    surroundings |= {"PORT": str(port), "DICOM_PORT": str(dicom)} | settings
    command = [sys.executable, str(ROOT / "tools" / "supervise.py")]
    log = (data / "supervisor.log").open("wb")
    process = subprocess.Popen(command, env=os.environ | surroundings, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while b"is ready" not in Path(log.name).read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the instance did not start:\n{Path(log.name).read_text()}")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def distinct(source: Path, number: int) -> bytes:
    """The image as a PNG whose bytes are its own: a text chunk carries the number."""
    with Image.open(source) as image:
        chunks = PngImagePlugin.PngInfo()
        for key, value in getattr(image, "text", {}).items():
            chunks.add_text(key, value)
        chunks.add_text("Comment", f"{time.time_ns()} {number}")
        out = BytesIO()
        image.save(out, "PNG", pnginfo=chunks)
    return out.getvalue()


def server_side(timings: list[Timing]) -> dict[str, list[float]]:
    """From the rows: received to scan, scan to result, and the model's share."""
    from webapp.analysis.models import Analysis

    found = Analysis.objects.select_related("scan__upload").filter(
        scan__upload__in=[timing.upload_id for timing in timings], status="done"
    )
    parts: dict[str, list[float]] = {"ingest": [], "infer": [], "model": []}
    for analysis in found:
        upload = analysis.scan.upload
        parts["ingest"].append((upload.finished_at - upload.created_at).total_seconds())
        parts["infer"].append((analysis.finished_at - upload.finished_at).total_seconds())
        parts["model"].append(analysis.seconds)
    return parts


def in_process(source: Path, count: int) -> list[float]:
    """Reading and prediction of the same file in one warm process: no queue, database or page."""
    from classifier.artifact.weights import load_artifact
    from classifier.images.raster.png import read_working
    from classifier.images.sandbox.client import ParsingHelper
    from classifier.inference.predictor import Input, Predictor
    from webapp.registry.selectors import active_models, artifact_path

    seconds = []
    with ParsingHelper() as helper, tempfile.TemporaryDirectory() as folder:
        predictor = None
        for _ in range(count + WARM_UP):
            began = time.perf_counter()
            facts = helper.parse(source, folder, stated_slot="cxr")
            working = read_working(Path(folder) / facts.files["working"])
            if predictor is None:
                predictor = Predictor(load_artifact(artifact_path(active_models()[facts.slot])))
            predictor.predict([Input(working, (facts.rows, facts.columns))])
            seconds.append(time.perf_counter() - began)
    return seconds[WARM_UP:]


def phantom(folder: Path) -> Path:
    """A simulated radiograph, as large as it comes: nobody's image is needed to measure."""
    from classifier.phantom.files import write_png
    from classifier.phantom.render import render

    path = folder / "phantom.png"
    write_png(path, render(7))
    return path


def summary(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return {"median": round(statistics.median(ordered), 3), "p95": round(p95, 3)}


def measure(url: str, arguments: argparse.Namespace, password: str, source: Path) -> list[Timing]:
    client = Client(url)
    client.sign_in(arguments.user, password)
    for number in range(WARM_UP):
        client.time_one(distinct(source, -1 - number), "warm-up.png")
    return [client.time_one(distinct(source, n), f"image-{n}.png") for n in range(arguments.count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--url", help="a running instance; its HILUM_DATA must be set for the parts in between"
    )
    parser.add_argument("--user", default="clinician")
    parser.add_argument("--password", default=os.environ.get("HILUM_DEMO_PASSWORD", ""))
    parser.add_argument("--file", type=Path, help="a PNG; a phantom is rendered without it")
    parser.add_argument("--count", type=int, default=20)
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        data = Path(os.environ.get("HILUM_DATA", ROOT / "var") if arguments.url else scratch)
        password = arguments.password or "measured-by-the-benchmark"
        source = arguments.file or phantom(Path(scratch))
        url = arguments.url or stack.enter_context(own_instance(data, password))
        timings = measure(url, arguments, password, source)
        os.environ |= {"HILUM_DATA": str(data), "DJANGO_SETTINGS_MODULE": "webapp.settings"}
        os.environ.setdefault("HILUM_ENV", "demo")
        report(timings, source, arguments.count)


def report(timings: list[Timing], source: Path, count: int) -> None:
    import django

    django.setup()
    alone = summary(in_process(source, count))
    visible = summary([timing.visible for timing in timings])
    parts = {name: summary(values) for name, values in server_side(timings).items() if values}
    found = {
        "uploads": len(timings),
        "results": sum(timing.ok for timing in timings),
        "upload_to_visible": visible,
        "post": summary([timing.post for timing in timings]),
        **parts,
        "in_process": alone,
        "ratio": round(visible["median"] / alone["median"], 2),
        "load_average": [round(value, 1) for value in os.getloadavg()],
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
