#!/usr/bin/env python
"""Django's command line for Hilum."""

import os
import sys
from pathlib import Path

from webapp.audit.commands import execute_from_command_line

CONFIGURED = ("HILUM_ENV", "SECRET_KEY", "DATABASE_URL")


def use_demo() -> None:
    """In a shell that configures nothing, act on the demo that `make run` made here, if there is one."""
    data = Path(os.environ.get("HILUM_DATA") or Path(__file__).resolve().parent / "var")
    if not any(os.environ.get(name) for name in CONFIGURED) and (data / "run" / "demo").is_file():
        os.environ["HILUM_ENV"] = "demo"


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    use_demo()
    execute_from_command_line(sys.argv)
