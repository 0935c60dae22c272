"""A whole Hilum of its own for the browser tests, and a Chromium that reports every complaint of the page."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.flows.driving import upload

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "flows-of-the-house"
START_SECONDS = 240
THEMES = ("dark", "light")
OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


@dataclass
class Hilum:
    """A running instance: its address and the folder of its state."""

    url: str
    data: Path

    def manage(self, *arguments: str) -> str:
        """What `manage.py` prints on this instance."""
        environment = {"HILUM_ENV": "demo", "HILUM_DATA": str(self.data), "PATH": ""}
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


@pytest.fixture(scope="session")
def hilum(tmp_path_factory) -> Iterator[Hilum]:
    """Everything that `make run` starts, on a folder and a port of its own."""
    if not list((ROOT / "artifacts").glob("*.safetensors")):
        pytest.skip("no model artifact is shipped with this copy")
    data, port = tmp_path_factory.mktemp("hilum"), free_port()
    log = (data / "supervisor.log").open("w")
    # The suite's own settings must not reach the instance.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HILUM_", "DJANGO_"))}
    ports = {"PORT": str(port), "DICOM_PORT": str(free_port())}
    environment = inherited | ports | {"HILUM_DATA": str(data), "HILUM_DEMO_PASSWORD": PASSWORD}
    command = [sys.executable, "tools/supervise.py"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        url, end = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
        while not is_up(url):
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail("Hilum did not start:\n" + (data / "supervisor.log").read_text()[-2000:])
            time.sleep(0.2)
        yield Hilum(url, data)
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    path = os.environ.get("HILUM_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium here: set HILUM_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def expected() -> list[str]:
    """Parts of complaints that a test means to provoke; it appends to the list."""
    return []


@pytest.fixture
def reader() -> str:
    """The user that `page` is signed in as."""
    return "clinician"


@pytest.fixture
def page(chromium, hilum, reader, expected) -> Iterator[object]:
    """A page signed in as the reader; the test fails on any complaint of the browser (errors, CSP)."""
    context = chromium.new_context(viewport={"width": 1366, "height": 768}, base_url=hilum.url)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page, complaints = context.new_page(), []
    page.on("console", lambda text: text.type in {"error", "warning"} and complaints.append(text.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/sign-in/")
    page.get_by_label("Username").fill(reader)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in/" not in url)
    # Kept on the server for this reader: what another test chose must not reach this one.
    keep_preference(page, "heatmap", True)
    yield page
    context.close()
    assert [text for text in complaints if not any(part in text for part in expected)] == []


def keep_preference(page, key: str, value: object) -> None:
    token = page.locator("meta[name=csrf-token]").get_attribute("content")
    headers = {"X-CSRFToken": token, "Referer": page.url}
    response = page.request.post("/preferences/", data={"key": key, "value": value}, headers=headers)
    assert response.ok, response.text()


@pytest.fixture(scope="session")
def films(tmp_path_factory) -> list[Path]:
    """Two DICOM files of one simulated patient, the earlier first; the second shows an opacity."""
    from classifier.phantom.collection import write_collection

    folder = tmp_path_factory.mktemp("films")
    write_collection(folder, patients=1, seed=11, size=384)
    return sorted(folder.glob("*.dcm"))[:2]


@pytest.fixture
def scans(page, films) -> list[str]:
    return [upload(page, film) for film in films]


@pytest.fixture
def complaints(node_modules):
    """What axe-core finds on the page as it stands, in both themes, with the elements."""
    program = (node_modules / "axe-core" / "axe.min.js").read_text()
    return lambda page, where: found_on(page, where, program)


def found_on(page, where: str, program: str) -> list[str]:
    found = []
    page.evaluate(program)
    for theme in THEMES:
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        response = page.evaluate("(options) => axe.run(document, options)", OPTIONS)
        for violation in response["violations"]:
            nodes = [node["html"][:160] for node in violation["nodes"][:3]]
            found.append(f"{where}, {theme}: {violation['id']}: {nodes}")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    return found


@pytest.fixture
def look_at(complaints):
    def look(page, addresses: dict[str, str]) -> list[str]:
        found = []
        for where, address in addresses.items():
            page.goto(address)
            found += complaints(page, where)
        return found

    return look
