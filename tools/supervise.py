"""`make run`: prepare the data folder and run all of Hilum on this machine until Ctrl-C.

Standard library only; the services are the commands of a production deployment.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from service import Service

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("HILUM_DATA") or ROOT / "var").expanduser().absolute()
HOST, PORT = "127.0.0.1", int(os.environ.get("PORT") or 8000)
DICOM_PORT = int(os.environ.get("DICOM_PORT") or 11112)
URL = f"http://{HOST}:{PORT}/"
PREPARE = (
    ["migrate", "--no-input", "--verbosity", "0"],
    ["install_models", "--skip-checks"],
    ["create_demo", "--skip-checks"],
)
# Any program on this machine may send images by DICOM.
SENDERS = ["create_dicom_sender", "demo", "*", "--network", "127.0.0.0/8", "--network", "::1/128"]
WORKERS = ("ingest", "infer", "train", "notify")
STOP_SECONDS = 10.0
LOOK_SECONDS = 0.2


def main() -> int:
    DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
    (DATA / "run").mkdir(exist_ok=True)
    lock = take_lock(DATA / "run" / "lock")
    if lock is None:
        return complain(f"Hilum is already running on {DATA}. Stop it, or set HILUM_DATA to another folder.")
    if not port_is_free(PORT):
        return complain(f"Port {PORT} is in use. Choose another: make run PORT={PORT + 1}")
    dicom = port_is_free(DICOM_PORT)
    if not dicom:
        print(f"Port {DICOM_PORT} is in use: no DICOM listener. Choose another: DICOM_PORT={DICOM_PORT + 1}")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    for readiness in (DATA / "run").glob("*.json"):
        readiness.unlink()
    sign_in = prepare(environment())
    if sign_in is None:
        return complain("Hilum could not be prepared; see above.")
    run(services(environment(), dicom=dicom), sign_in, stopping)
    return 0


def environment() -> dict[str, str]:
    """The variables of every service: demo mode, and no cache outside the data folder."""
    caches = {name: str(DATA / "cache") for name in ("XDG_CACHE_HOME", "TORCH_HOME", "MPLCONFIGDIR")}
    defaults = {"HILUM_ENV": "demo", "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1"}
    own = {"HILUM_DATA": str(DATA), "PYTHONPATH": str(ROOT)}
    own |= {"DICOM_BIND": HOST, "DICOM_PORT": str(DICOM_PORT)}
    return defaults | dict(os.environ) | caches | own


def services(env: dict[str, str], *, dicom: bool = True) -> list[Service]:
    commands = {"web": [sys.executable, "-m", "gunicorn", *web_options(), "webapp.wsgi:application"]}
    for name in (*WORKERS, "beat"):
        commands[name] = [sys.executable, "-m", "worker", name]
    if dicom:
        commands["dicom"] = [sys.executable, "manage.py", "dicom_listener", "--skip-checks"]
    return [Service(name, command, environment=env, logs=DATA / "log") for name, command in commands.items()]


def web_options() -> list[str]:
    """As in production, but one process, a short grace period, and no file outside the data folder."""
    options = ["--config", str(ROOT / "deploy" / "gunicorn.conf.py"), "--bind", f"{HOST}:{PORT}"]
    options += ["--workers", "1", "--graceful-timeout", "5", "--log-level", "warning"]
    return [*options, "--worker-tmp-dir", str(DATA / "run")]


def prepare(env: dict[str, str]) -> str | None:
    """Create tables, models and demo accounts; returns how to sign in, or None on failure."""
    print(f"Preparing {DATA} ...", flush=True)
    output = ""
    for arguments in (*PREPARE, SENDERS):
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            print(done.stdout, file=sys.stderr)
            return None
        if arguments is not SENDERS:
            output = done.stdout.strip() or output
    return output


def run(running: list[Service], sign_in: str, stopping: threading.Event) -> None:
    os.chdir(ROOT)
    announced, dicom = False, any(service.name == "dicom" for service in running)
    try:
        while not stopping.is_set():
            for service in running:
                service.watch()
            if not announced and ready() and (not dicom or accepts(DICOM_PORT)):
                announced = True
                print(f"\n  Hilum is ready: {URL}\n  {sign_in}\n  Logs: {DATA / 'log'}")
                if dicom:
                    print(f"  DICOM: HILUM at {HOST}:{DICOM_PORT}")
                print("  Ctrl-C stops it.\n", flush=True)
            stopping.wait(LOOK_SECONDS)
    finally:
        print("Stopping ...", flush=True)
        for service in running:
            service.ask_to_stop()
        deadline = time.monotonic() + STOP_SECONDS
        for service in running:
            service.stop(deadline)


def ready() -> bool:
    """The site responds, and every worker is ready."""
    if not all(any(map(is_ready, (DATA / "run").glob(f"{name}-*.json"))) for name in WORKERS):
        return False
    try:
        with urllib.request.urlopen(f"{URL}healthz", timeout=1) as response:  # noqa: S310 - our own URL
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def is_ready(readiness: Path) -> bool:
    try:
        return json.loads(readiness.read_text())["state"] == "ready"
    except (OSError, ValueError, KeyError):
        return False


def take_lock(path: Path):
    """The open lock file, to be kept; None when another instance holds it."""
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def accepts(port: int) -> bool:
    """Whether something listens there."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def complain(text: str) -> int:
    print(f"\n  {text}\n", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
