"""The viewer's bundle that is committed is the one that its sources make."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.conftest import ROOT

DIST = ROOT / "static" / "dist"


@pytest.mark.slow
def test_the_committed_bundle_is_what_its_sources_make(node_modules, tmp_path):
    command = ["npm", "run", "--silent", "build", "--", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in DIST.iterdir()}
    assert made.keys() == committed.keys()
    stale = [name for name, content in made.items() if content != committed[name]]
    assert not stale, "static/dist is not current: run `npm run build` and commit what it makes"


def test_the_bundle_names_the_licence_of_everything_in_it():
    notices = (DIST / "LICENSES.txt").read_text()
    for package in ("@cornerstonejs/core", "@cornerstonejs/tools", "@kitware/vtk.js", "gl-matrix"):
        assert re.search(rf"^{re.escape(package)} \d", notices, re.MULTILINE)


def test_packages_are_pinned_and_their_lock_names_no_registry_but_the_public_one():
    wanted = json.loads((ROOT / "package.json").read_text())
    pins = {**wanted.get("dependencies", {}), **wanted["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in pins.values()), pins
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    elsewhere = [
        entry["resolved"]
        for entry in locked.values()
        if not entry.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/")
    ]
    assert not elsewhere
    assert all(entry.get("integrity") for name, entry in locked.items() if name)
