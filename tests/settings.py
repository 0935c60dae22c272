"""The suite's settings: test mode, with a data folder of its own for each test process."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ["HILUM_ENV"] = "test"
if "HILUM_TEST_ROOT" not in os.environ:
    os.environ["HILUM_TEST_ROOT"] = tempfile.mkdtemp(prefix="hilum-test-")
    atexit.register(shutil.rmtree, os.environ["HILUM_TEST_ROOT"], ignore_errors=True)
os.environ["HILUM_DATA"] = str(
    Path(os.environ["HILUM_TEST_ROOT"], os.environ.get("PYTEST_XDIST_WORKER", "main"))
)

from webapp.settings import *  # noqa: F403
