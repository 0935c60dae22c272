"""`manage.py` acts on the demo in a shell that configures nothing; production stays the default elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

SHOW = "from django.conf import settings; print(settings.HILUM_ENV)"


@pytest.mark.parametrize(
    ("marked", "variables", "mode"),
    [
        (True, {}, "demo"),
        (True, {"HILUM_ENV": "test"}, "test"),
        (True, {"SECRET_KEY": "x" * 60}, "must be set in production"),
        (False, {}, "must be set in production"),
    ],
)
def test_manage_py_finds_the_demo_of_the_data_folder(tmp_path, marked, variables, mode):
    if marked:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "demo").touch()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "VIRTUAL_ENV") if name in os.environ}
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", SHOW]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=kept | {"HILUM_DATA": str(tmp_path)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert mode in done.stdout + done.stderr
