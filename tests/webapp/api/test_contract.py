"""A few hundred of the requests that `python -m tests.webapp.api.contract` makes by the thousand."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_api_results_as_its_description_states():
    command = [sys.executable, "-m", "tests.webapp.api.contract", "--examples", "4", "--phases", "fuzzing"]
    command += ["--seed", "7"]
    alone = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " generated" in done.stdout
