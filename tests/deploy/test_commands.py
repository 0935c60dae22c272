"""docker-compose.yml's own commands as plain processes, in production mode, on PostgreSQL and Redis."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from io import BytesIO
from pathlib import Path

import numpy as np
import psycopg
import pytest
import yaml
from PIL import Image

from classifier.contract import ModelSpec, Slot
from tests.deploy.test_compose import ENVIRONMENT, PARTS, ROOT, interpolated
from tests.faults.instance import free_port

pytestmark = [pytest.mark.services, pytest.mark.slow]

HOST = ENVIRONMENT["HILUM_HOST"]
PATIENCE = 240.0


class Deployment:
    """The services of docker-compose.yml without their containers: the same commands, the same settings."""

    def __init__(self, folder: Path, database_url: str, redis_url: str) -> None:
        self.compose = yaml.safe_load(interpolated((ROOT / "docker-compose.yml").read_text(), ENVIRONMENT))
        self.port = free_port()
        self.logs = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        own = {
            "HILUM_DATA": str(folder / "data"),
            "HILUM_STATIC_ROOT": str(folder / "static"),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{self.port}",
            "HILUM_DEVICE": "cpu",
        }
        path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "HOME": str(folder)} | self.declared("web") | own

    def declared(self, service: str) -> dict[str, str]:
        return {name: str(value) for name, value in self.compose["services"][service]["environment"].items()}

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, service: str) -> None:
        log = (self.logs / f"{service}.log").open("wb")
        command = self.compose["services"][service]["command"]
        process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )
        self.processes.append(process)

    def stop(self) -> None:
        for process in self.processes:
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            process.wait(60)

    def ask(self, path: str, *, data: bytes | None = None, https: bool = True, **headers: str):
        """As the TLS proxy would pass a request on; returns status, headers and body."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data)
        headers |= {"Host": HOST, "X-Forwarded-For": "192.0.2.7"}
        if https:
            headers["X-Forwarded-Proto"] = "https"
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.build_opener(Unredirected).open(request, timeout=30) as result:
                return result.status, result.headers, result.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def log_text(self) -> str:
        return "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in self.logs.glob("*.log"))

    def wait_for(self, condition) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.log_text()
            assert all(process.poll() is None for process in self.processes), self.log_text()
            time.sleep(0.2)

    def is_up(self) -> bool:
        try:
            return self.ask("/healthz")[0] == 200
        except OSError:
            return False


class Unredirected(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


@pytest.fixture(scope="module")
def database_url() -> str:
    """A database of the test's own on CI_DATABASE_URL's server."""
    server = os.environ.get("CI_DATABASE_URL")
    if not server:
        pytest.skip("no PostgreSQL server: set CI_DATABASE_URL")
    name = f"hilum_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{server.rsplit('/', 1)[0]}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory) -> str:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--requirepass", "secret"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path_factory.mktemp("redis"))
    yield f"redis://:secret@127.0.0.1:{port}/0"
    server.kill()
    server.wait()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, database_url, redis_url):
    from classifier.artifact.weights import save_artifact
    from classifier.networks.registry import network_for

    folder = tmp_path_factory.mktemp("deployment")
    deployment = Deployment(folder, database_url, redis_url)
    deployment.run(*deployment.compose["services"]["migrate"]["command"])
    deployment.run("python", "manage.py", "collectstatic", "--no-input")
    spec = ModelSpec(
        name="small", slot=Slot.CXR, findings=("normal", "pneumonia"), layers=(1, 1, 1, 1), width=8, size=64
    )
    (folder / "models").mkdir()
    model = folder / "models" / "small.safetensors"
    save_artifact(model, spec=spec, classifier_state=network_for(spec).state_dict(), card={})
    deployment.run("python", "manage.py", "install_models", str(model.parent))
    try:
        for part in sorted(PARTS):
            deployment.start(part)
        deployment.wait_for(deployment.is_up)
        yield deployment
    finally:
        deployment.stop()


@pytest.fixture(scope="module")
def token(deployment) -> str:
    deployment.run("python", "manage.py", "create_site", "st-anna", "St Anna Hospital")
    deployment.run(
        "python",
        "manage.py",
        "shell",
        "-c",
        "from webapp.accounts.models import User; User.objects.create_user('router')",
    )
    deployment.run("python", "manage.py", "create_member", "router", "st-anna", "clinician")
    return deployment.run("python", "manage.py", "create_token", "router").strip().splitlines()[-1]


def test_a_scan_goes_from_upload_to_result(deployment, token):
    body, kind = multipart(noise(1))
    status, _, result = deployment.ask(
        "/api/v1/scans/", data=body, Content_Type=kind, Authorization=f"Bearer {token}"
    )
    assert status == 201, result
    location = f"/api/v1/scans/{json.loads(result)['id']}/"
    reported: dict = {}

    def is_done() -> bool:
        reported.update(json.loads(deployment.ask(location, Authorization=f"Bearer {token}")[2]))
        return reported["status"] not in {"received", "parsing", "analysing"}

    deployment.wait_for(is_done)
    # Noise is no chest X-ray: the shipped model computes probabilities and withholds them.
    assert (reported["status"], reported["reason"]) == ("abstained", "not_a_chest_xray"), reported
    assert reported["analyses"][0]["probabilities"], reported
    assert sum(reported["analyses"][0]["probabilities"].values()) == pytest.approx(1)


def test_plain_http_is_sent_to_https_and_health_is_not(deployment):
    status, headers, _ = deployment.ask("/sign-in/", https=False)
    assert (status, headers["Location"]) == (301, f"https://{HOST}/sign-in/")
    assert deployment.ask("/healthz", https=False)[0] == 200


def test_the_sign_in_page_is_served_with_its_hashed_style_under_a_strict_policy(deployment):
    status, headers, page = deployment.ask("/sign-in/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    style = page.decode().split('rel="stylesheet" href="')[1].split('"')[0]
    status, headers, _ = deployment.ask(style)
    assert (status, "immutable" in headers["Cache-Control"]) == (200, True)


def noise(seed: int) -> bytes:
    grey = np.random.default_rng(seed).integers(0, 65_000, (200, 180), dtype=np.uint16)
    file = BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return file.getvalue()


def multipart(content: bytes) -> tuple[bytes, str]:
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode(), (
        f"multipart/form-data; boundary={boundary}"
    )
