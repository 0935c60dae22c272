"""Runs a module at low priority and ends it with its parent: `… parent_watchdog MODULE ARGUMENT...`.

Standard input is a pipe that closes when the parent dies, even of `kill -9`.
The whole process group ends then, so the command is to be started in one of its own.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

NICE = 10


def main() -> None:
    os.nice(NICE)
    threading.Thread(target=_end_with_holder, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_holder() -> None:
    while os.read(0, 1):
        continue
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
