from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path
from zipfile import ZipFile

import pytest

from webapp.core.storage import phantom_collection
from worker.jobs.phantoms import PhantomCollection, render_command
from worker.support.scratch import scratch_folder


@pytest.fixture(autouse=True)
def own_data(tmp_path, settings):
    settings.HILUM_DATA = tmp_path


def writes(text: str, *, code: int = 0):
    """A renderer that writes two files and exits with `code`."""
    program = (
        "import pathlib, sys; f = pathlib.Path(sys.argv[1]); f.mkdir();"
        f"(f / 'manifest.csv').write_text({text!r}); (f / 'a.png').write_text('pixels'); sys.exit({code})"
    )
    return lambda folder: [sys.executable, "-c", program, str(folder)]


def tend_until(collection: PhantomCollection, done, *, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        collection.tend()
        time.sleep(0.02)


def test_a_missing_collection_is_rendered_and_appears_whole():
    collection = PhantomCollection(writes("image,patient\na.png,P"))
    tend_until(collection, phantom_collection().exists)
    with ZipFile(phantom_collection()) as archive:
        assert archive.namelist() == ["a.png", "manifest.csv"]
        assert archive.read("manifest.csv") == b"image,patient\na.png,P"
    assert not list(scratch_folder().iterdir())


def test_one_that_is_there_is_left_alone():
    phantom_collection().parent.mkdir()
    phantom_collection().write_bytes(b"earlier")
    collection = PhantomCollection(writes("later"))
    collection.tend()
    collection.close()
    assert phantom_collection().read_bytes() == b"earlier"
    assert not list(scratch_folder().iterdir())


def test_a_broken_renderer_is_tried_once_and_leaves_nothing():
    started = []

    def command(folder: Path) -> list[str]:
        started.append(folder)
        return writes("half", code=3)(folder)

    collection = PhantomCollection(command)
    tend_until(collection, lambda: len(started) > 1, seconds=1.5)
    assert len(started) == 1
    assert not phantom_collection().exists()
    assert not list(scratch_folder().iterdir())


def test_a_worker_that_stops_takes_its_renderer_along():
    collection = PhantomCollection(lambda folder: [sys.executable, "-c", "import time; time.sleep(60)"])
    collection.tend()
    process = collection._process
    collection.close()
    assert process.poll() is not None


@pytest.mark.slow
def test_the_command_renders_images_with_a_manifest(tmp_path):
    command = render_command(tmp_path / "out")
    command[command.index("--patients=4")] = "--patients=1"
    subprocess.run([*command, "--size", "256"], check=True, cwd=Path(__file__).parents[2])
    manifest = (tmp_path / "out" / "manifest.csv").read_text()
    assert manifest.startswith("image,"), shlex.join(command)
    assert "study_date" in manifest
