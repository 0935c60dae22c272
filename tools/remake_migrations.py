"""Write one initial migration an app from the models; for use until 0.2.0, the first stable schema.

Triggers, indexes on expressions and first rows are in an app's `migrations/_database.py` and are kept.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INITIAL = "0001_initial.py"


def main() -> int:
    folders = sorted((ROOT / "webapp").glob("*/migrations"))
    for folder in folders:
        for path in folder.glob("0*.py"):
            path.unlink()
    names = [folder.parent.name for folder in folders]
    subprocess.run([sys.executable, "manage.py", "makemigrations", *names], cwd=ROOT, check=True)
    for folder in folders:
        if (folder / "_database.py").exists():
            add_database(max(folder.glob("0*.py")), folder.parent.name)
    return subprocess.run([sys.executable, "manage.py", "makemigrations", "--check"], cwd=ROOT).returncode


def add_database(path: Path, app: str) -> None:
    """Let the app's last migration run `_database.create` at its end."""
    text = path.read_text()
    at = text.rindex("    ]")
    run = "        migrations.RunPython(_database.create, _database.drop),\n"
    text = text[:at] + run + text[at:]
    first = text.index("from django.db import")
    end = text.index("\n\n", first)
    path.write_text(text[:end] + f"\n\nfrom webapp.{app}.migrations import _database" + text[end:])


if __name__ == "__main__":
    sys.exit(main())
