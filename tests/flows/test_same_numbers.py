"""The API and the command line return the same numbers for the same file."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

import pytest

from classifier.phantom.collection import write_collection
from tests.flows.conftest import ROOT, Hilum

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE = 240.0


class Api:
    def __init__(self, hilum: Hilum) -> None:
        self.url = f"{hilum.url}/api/v1/scans/"
        self.token = hilum.manage("create_token", "clinician").strip().splitlines()[-1]

    def ask(self, url: str, data: bytes | None = None, kind: str = "") -> dict:
        request = urllib.request.Request(url, data=data, headers={"Authorization": f"Bearer {self.token}"})
        if kind:
            request.add_header("Content-Type", kind)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def upload(self, path: Path) -> str:
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
        body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        return self.ask(self.url, body, f"multipart/form-data; boundary={boundary}")["id"]

    def result(self, scan: str) -> dict:
        deadline = time.monotonic() + PATIENCE
        while (reported := self.ask(f"{self.url}{scan}/"))["status"] in {"received", "parsing", "analysing"}:
            assert time.monotonic() < deadline, reported
            time.sleep(0.3)
        return reported


@pytest.fixture(scope="module")
def api(hilum) -> Api:
    return Api(hilum)


def predict(files: list[Path]) -> list[dict]:
    command = [sys.executable, "-m", "classifier", "predict", *map(str, files), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_same_numbers(api: Api, files: list[Path]) -> None:
    assert files
    scans = [api.upload(path) for path in files]
    for scan, stated in zip(scans, predict(files), strict=True):
        reported = api.result(scan)
        if stated["status"] == "refused":
            assert (reported["status"], reported["reason"]) == ("refused", stated["reason"])
            continue
        (analysis,) = reported["analyses"]
        assert analysis["finding"] == stated["finding"]
        assert analysis["model"]["sha256"] == stated["model_sha256"]
        assert analysis["probabilities"] == pytest.approx(stated["probabilities"], abs=1e-4)
        assert analysis["cam"]["affine"] == pytest.approx(stated["cam"]["affine"])
        for finding, grid in stated["cam"]["grids"].items():
            for ours, theirs in zip(analysis["cam"]["grids"][finding], grid, strict=True):
                assert ours == pytest.approx(theirs, abs=1e-3)


def test_phantoms_get_the_same_numbers_both_ways(api, tmp_path):
    write_collection(tmp_path, patients=1, seed=3, size=320)
    assert_same_numbers(api, sorted(tmp_path.glob("*.png")) + sorted(tmp_path.glob("*.dcm")))


@pytest.mark.shared_data
def test_real_files_get_the_same_numbers_both_ways(api, shared_data):
    files = sorted((shared_data / "originals").glob("nih-*.png"))[:4]
    files += [shared_data / "dicom" / name for name in ("RG1_J2KI.dcm", "rsna_monochrome1.dcm")]
    assert_same_numbers(api, [*files, shared_data / "dicom" / "ct_labelled_nm.dcm"])
