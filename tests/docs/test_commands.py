"""Runs every `sh` block of README and docs as written, page by page, in a copy of the repository.

A block marked `server` starts in the background and stays; all pages share it. Blocks that cannot run here
carry a reason in the document (`sh no-test: reason`; test_pages.py lists the reasons).
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.docs.blocks import ROOT, blocks, name_of, written_pages
from tests.faults.instance import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE = 240.0
PORT, DICOM_PORT = 8000, 11112  # in the documents; the test uses free ones
# Appended to commands that would run for long: the last value of an option counts.
SHORTER = {"train": "--epochs 1 --epoch-images 8 --batch 4 --size 64 --shortcuts 0", "compare": "--draws 10"}


def runnable() -> list[Path]:
    return [p for p in written_pages() if any(b.language == "sh" and not b.marks for b in blocks(p))]


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """The tracked files, and the environment that `make setup` would make again."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file() and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(ROOT / "tests" / "tools", folder / "tests" / "tools")
    for name in ("__init__.py", "conftest.py", "settings.py"):
        if (ROOT / "tests" / name).exists():
            shutil.copy2(ROOT / "tests" / name, folder / "tests" / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """A fresh user's: an empty home, and no variable of Hilum."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HILUM_", "DJANGO_"))}
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "PYTHONPATH"):
        kept.pop(name, None)
    own = {"HOME": str(tmp_path_factory.mktemp("home")), "PIP_NO_DEPS": "1", "DICOM_PORT": str(free_port())}
    return kept | own


@pytest.fixture(scope="module")
def port(clone, environment) -> int:
    """The site, started by the README's own block; the port is the only thing that is added."""
    (start,) = [block for block in blocks(ROOT / "README.md") if block.marks == "server"]
    port = free_port()
    with (clone / "server.log").open("wb") as log:
        server = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", start.text],
            cwd=clone,
            env=environment | {"PORT": str(port)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while "Hilum is ready" not in (clone / "server.log").read_text():
            assert server.poll() is None, (clone / "server.log").read_text()
            assert time.monotonic() < deadline, (clone / "server.log").read_text()
            time.sleep(0.5)
        yield port
    finally:
        os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def as_run(text: str, port: int, dicom_port: str) -> str:
    """The block with the test's ports, and with short trainings."""
    text = text.replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{port}").replace(str(DICOM_PORT), dicom_port)
    for command, options in SHORTER.items():
        pattern = rf"(-m classifier {command} (?:[^\n]|\\\n)*?[^\\\n])(\n)"
        text = re.sub(pattern, lambda m, o=options: f"{m[1]} {o}{m[2]}", text)
    return text


def hospital(folder: Path) -> None:
    """training.md's folder of somebody's own images: plain PNG without a phantom's mark."""
    options = ["--for-training", "--patients", "12", "--seed", "5", "--size", "256", "--out", "source"]
    python = folder / ".venv" / "bin" / "python"
    subprocess.run([python, "-m", "classifier", "phantom", *options], cwd=folder, check=True)
    with (folder / "source" / "manifest.csv").open(newline="") as manifest:
        rows = list(csv.DictReader(manifest))
    for index, row in enumerate(rows):
        finding = "normal" if row["finding"] == "normal" else "pneumonia"
        target = folder / "hospital" / finding / f"{row['patient'].removeprefix('PHANTOM-')}_{index}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(folder / "source" / row["image"]) as image:
            Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).save(target)


@pytest.mark.parametrize("page", runnable(), ids=name_of)
def test_the_commands_of_a_page_work_as_written(page, clone, environment, port):
    if page.name == "training.md":
        hospital(clone)
    shell = [block.text for block in blocks(page) if block.language == "sh" and not block.marks]
    script = "".join(as_run(text, port, environment["DICOM_PORT"]) for text in shell)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-x", "-c", script],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    coded = re.findall(r'"code": ?"\w+".*', done.stdout)
    assert coded == [], coded
