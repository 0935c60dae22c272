"""Makes .venv and installs the pinned packages into it; does nothing, offline too, when that is done.

Standard library only. `--dev` adds what the tests need. TORCH=cpu takes PyTorch's CPU build, a tenth of the
size of the CUDA one that PyPI serves for Linux. Nothing is written outside the clone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHONS = ((3, 11), (3, 13))
TORCH_INDEX = {"cpu": "https://download.pytorch.org/whl/cpu"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="also install what the tests need")
    files = ["requirements-dev.txt"] if parser.parse_args().dev else ["requirements.txt"]
    torch = os.environ.get("TORCH", "")
    if torch and torch not in TORCH_INDEX:
        return complain(f"TORCH={torch} is not known; leave it out, or say TORCH=cpu")
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return complain(f"Hilum needs Python 3.11, 3.12 or 3.13; this is {sys.version.split()[0]}")
    if python_version() is None:
        print(f"Making .venv with Python {sys.version.split()[0]} ...", flush=True)
        venv.create(VENV, with_pip=True, clear=True)
    stamp = VENV / f"{Path(files[0]).stem}.stamp"
    wanted = fingerprint(files[0])
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    if not install(files[0], TORCH_INDEX.get(torch)):
        return complain("installing failed; what pip said stands above. The first time needs the network.")
    stamp.write_text(wanted)
    return 0


def python_version() -> str | None:
    """What the environment's Python answers; None when there is none of a fitting version."""
    try:
        asked = [VENV / "bin" / "python", "-c", "import sys, pip; print(*sys.version_info[:2])"]
        said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return None
    return ".".join(said) if PYTHONS[0] <= tuple(map(int, said)) <= PYTHONS[1] else None


def fingerprint(name: str) -> str:
    """Hash of the environment's Python version and of every requirements file that `name` draws in."""
    digest, waiting = hashlib.sha256((python_version() or "").encode()), [name]
    while waiting:
        text = (ROOT / waiting.pop()).read_text()
        digest.update(text.encode())
        waiting += [line.split()[1] for line in text.splitlines() if line.startswith("-r ")]
    return digest.hexdigest()


def install(name: str, index: str | None) -> bool:
    print(f"Installing {name} into .venv; the first time takes some minutes ...", flush=True)
    temporary = VENV / "tmp"  # the system's folder may be too small for PyTorch
    temporary.mkdir(exist_ok=True)
    command = [VENV / "bin" / "python", "-m", "pip", "install", "--requirement", name]
    command += ["--no-input", "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--extra-index-url", index] if index else []
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONNOUSERSITE": "1"}
    try:
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def complain(text: str) -> int:
    print(f"\n  {text}\n", file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
