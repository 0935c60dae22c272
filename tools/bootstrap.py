"""Create .venv and install the locked packages into it; does nothing, offline too, when that is done.

Standard library only. `--dev` adds what the tests need; `--download FOLDER` fills a folder with the packages
instead, for a network without access to PyPI. TORCH=cpu installs PyTorch's CPU build, a tenth of the size of
the CUDA build that PyPI has for Linux. Nothing is written outside the clone.
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
VENV = Path(os.environ.get("HILUM_VENV") or ROOT / ".venv")
PYTHONS = ((3, 11), (3, 13))
TORCH, CUDA = "requirements-torch.txt", "requirements-cuda.txt"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NO_CPU_BUILD = f"""PyTorch's CPU build could not be installed from {CPU_INDEX} (see above). Either
    make that address reachable and run the same command again; or
    run it without TORCH=cpu: PyPI's CUDA build (5.5 GB) also runs without a GPU; or
    put the CPU wheels of {TORCH} into a folder and set PIP_FIND_LINKS to it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="also install what the tests need")
    parser.add_argument("--download", metavar="FOLDER", type=Path, help="download packages only")
    options = parser.parse_args()
    torch = os.environ.get("TORCH", "")
    if torch not in ("", "cpu"):
        return complain(f"TORCH={torch} is unknown. Leave it out for the CUDA build, or set TORCH=cpu.")
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return complain(f"Hilum needs Python 3.11, 3.12 or 3.13; this is {sys.version.split()[0]}.")
    if installed_python() is None:
        print(f"Creating {VENV} with Python {sys.version.split()[0]} ...", flush=True)
        venv.create(VENV, with_pip=True, clear=True)
    lock = "requirements-dev.txt" if options.dev else "requirements.txt"
    if options.download:
        options.download.mkdir(parents=True, exist_ok=True)
        return install(lock, torch, "download", "--dest", str(options.download.absolute()))
    stamp, wanted = VENV / f"{Path(lock).stem}.stamp", fingerprint(lock)
    if stamp.exists() and stamp.read_text() == wanted and (not torch or is_cpu_build()):
        return 0
    status = install(lock, torch, "install")
    if status == 0:
        stamp.write_text(wanted)
    return status


def installed_python() -> str | None:
    """The version of the environment's Python; None if there is no supported one."""
    try:
        command = [VENV / "bin" / "python", "-c", "import sys, pip; print(*sys.version_info[:2])"]
        version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return None
    return ".".join(version) if PYTHONS[0] <= tuple(map(int, version)) <= PYTHONS[1] else None


def fingerprint(lock: str) -> str:
    """Hash of the environment's Python version and of the files that are installed."""
    digest = hashlib.sha256((installed_python() or "").encode())
    for name in (lock, TORCH, CUDA):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def install(lock: str, torch: str, *action: str) -> int:
    """Run pip for the hashed lock, for torch (each index has another hash) and for its CUDA packages."""
    print(f"{action[0].capitalize()}ing {lock}; the first time takes some minutes ...", flush=True)
    failed = "Installation failed (see above). The first installation needs network access or PIP_FIND_LINKS."
    if not pip(*action, "--require-hashes", "--requirement", lock):
        return complain(failed)
    if torch == "cpu":
        pins = [f"{line}+cpu" for line in (ROOT / TORCH).read_text().split() if "==" in line]
        if not pip(*action, "--index-url", CPU_INDEX, "--retries", "0", "--timeout", "15", *pins):
            return complain(NO_CPU_BUILD)
        return 0
    if not pip(*action, "--requirement", TORCH):
        return complain(failed)
    if action[0] == "install" and is_cpu_build():
        return 0
    return 0 if pip(*action, "--require-hashes", "--requirement", CUDA) else complain(failed)


def pip(*arguments: str) -> bool:
    temporary = VENV / "tmp"  # the system's folder may be too small for PyTorch
    temporary.mkdir(exist_ok=True)
    command = [VENV / "bin" / "python", "-m", "pip", *arguments, "--no-deps"]
    command += ["--no-input", "--no-cache-dir", "--disable-pip-version-check"]
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONNOUSERSITE": "1"}
    try:
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_cpu_build() -> bool:
    code = "from importlib.metadata import version; print(version('torch'))"
    command = [VENV / "bin" / "python", "-c", code]
    return (
        subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().endswith("+cpu")
    )


def complain(text: str) -> int:
    print(f"\n  {text}\n", file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
