"""The API held to its own description: `python -m tests.webapp.api.contract [--examples N]`.

Starts the web server as in deployment, on a folder of its own (and an empty database: SQLite, or that of
`DATABASE_URL`), with one of everything at its site, and lets schemathesis ask it with an administrator's
token: all phases, all checks, N examples an operation besides those that it makes for every bound in the
description. It asks twice: with ids that it makes up or is reported by an result, then with those of what is
there.
Its exit status is schemathesis' own; further options go there (`--phases fuzzing`, `--seed 7`).
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[3]
CONFIG = Path(__file__).with_suffix(".toml")
PATIENCE = 120.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=50, help="an operation")
    parser.add_argument("--ids", choices=["made-up", "known", "both"], default="both")
    asked, further = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        token, case = prepared(Path(folder))
        known = Path(folder, "known.toml")
        known.write_text(CONFIG.read_text() + parameters(case))
        further += ["--max-examples", str(asked.examples)]
        with served(Path(folder)) as url:
            configs = {"made-up": [CONFIG], "known": [known], "both": [CONFIG, known]}[asked.ids]
            return max([ask(url, token, config, further, folder) for config in configs])


def parameters(case: SimpleNamespace) -> str:
    """What is there, as schemathesis' values of the addresses' ids."""
    names = {f"{name}_id": record.pk for name, record in vars(case).items()}
    names |= {"patient_uuid": case.patient.pk, "study_uuid": case.study.pk}
    names["method"] = case.explanation.method
    # What another result reports of would be asked for by these ids all the same.
    once = "\n[phases.stateful]\nenabled = false\n"
    return once + "\n[parameters]\n" + "".join(f'"path.{name}" = "{key}"\n' for name, key in names.items())


def prepared(folder: Path) -> tuple[str, SimpleNamespace]:
    """Django on an empty database with a site and one of everything, and a token of its administrator."""
    os.environ |= {"HILUM_ENV": "demo", "HILUM_DATA": str(folder / "data"), "HILUM_API_RATE": "0"}
    os.environ["DJANGO_SETTINGS_MODULE"] = "webapp.settings"
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from PIL import Image

    from tests.factories import SiteFactory
    from tests.webapp.api.conftest import a_case
    from webapp.accounts.models import Role, Site, User
    from webapp.accounts.permissions import Permission
    from webapp.accounts.services import membership_set, token_create
    from webapp.core import storage

    if Site.objects.exists():
        sys.exit("The database is in use: use an empty one.")
    site, user = SiteFactory(), User.objects.create_user("contract")
    membership_set(user=user, site=site, role=Role.objects.get(name="admin"))
    case = a_case(site, user)
    scan = case.scan
    for name in (scan.preview_name, scan.display_name):
        path = storage.path_of(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (64, 64)).save(path, "PNG")
    manifest = storage.path_of(case.snapshot.stored_name)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text("image,findings\n")
    return token_create(user=user, site=site, name="contract", scopes=tuple(Permission))[1], case


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a web server; raises RuntimeError with what it stated where it does not come up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "deploy" / "gunicorn.conf.py")]
    with (folder / "server.log").open("wb") as log:
        surroundings = dict(os.environ) | {"HILUM_BIND": f"127.0.0.1:{port}"}
        server = subprocess.Popen(
            [*command, "webapp.wsgi:application"], cwd=ROOT, env=surroundings, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _listens(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "server.log").read_text())
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def ask(url: str, token: str, config: Path, further: list[str], folder: str) -> int:
    tool = str(Path(sys.executable).parent / "schemathesis")
    command = [tool, "--config-file", str(config), "run", f"{url}/api/v1/schema/"]
    options = ["--header", f"Authorization: Bearer {token}", "--checks", "all", "--continue-on-failure"]
    options += ["--wait-for-schema", "60", "--generation-database", "none"]
    return subprocess.run([*command, *options, *further], cwd=folder, check=False).returncode


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(main())
