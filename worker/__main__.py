"""`python -m worker ingest|infer|train|notify|beat`: one part of the machinery behind the site."""

from __future__ import annotations

import argparse
import ctypes
import os
import sys

from worker.app import app

# Threads that spin while they wait for each other turn 0.2 s into 4 s as soon as the cores are shared.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

PR_SET_DUMPABLE = 4
NOTIFY = "notify,monitor,send,dicom"
QUEUES = {"ingest": "ingest,control,backup", "infer": "infer", "train": "train", "notify": NOTIFY}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument("part", choices=[*QUEUES, "beat"])
    parser.add_argument("--name", help="node name, needed when two workers of one kind share a host")
    asked = parser.parse_args()
    if asked.part == "ingest":
        hide_environment()
    level = os.environ.get("HILUM_LOG_LEVEL", "INFO")
    if asked.part == "beat":
        app.start(["beat", "--loglevel", level, "--pidfile="])
    else:
        node = f"{asked.name or asked.part}@%h"
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        app.start(["worker", "--queues", QUEUES[asked.part], "--hostname", node, "--loglevel", level, *quiet])


def hide_environment() -> None:
    """Linux: other processes of the same user, such as the parsing helper, may not look into this one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


if __name__ == "__main__":
    main()
