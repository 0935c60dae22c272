from __future__ import annotations

import subprocess
import sys

import pytest

LOOK = """
import ctypes
from worker.__main__ import hide_environment
hide_environment()
print(ctypes.CDLL(None).prctl({get_dumpable}, 0, 0, 0, 0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the call is Linux's")
def test_the_ingest_worker_is_closed_to_other_processes_of_its_user():
    program = LOOK.format(get_dumpable=3)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
