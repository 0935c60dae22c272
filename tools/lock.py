"""Writes the hashed lock from requirements.in and requirements-dev.in: `make lock`, or `make lock UPGRADE=1`.

requirements.txt        all packages at run time, with hashes
requirements-dev.txt    the same packages and those of the tests, with hashes
requirements-torch.txt  torch and torchvision, without hashes: each index has its own build
requirements-cuda.txt   what the CUDA build of torch needs, with hashes
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = "3.11"
TORCH = re.compile(r"(torch|torchvision)==")
CUDA = re.compile(r"(nvidia-|cuda-|triton==)")
RUNTIME = ("requirements.txt", "requirements-torch.txt", "requirements-cuda.txt")
HEADER = "# Written by `make lock` from {source}. Do not edit.\n"


def main(*options: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        runtime_lock, development_lock = Path(folder) / "runtime.txt", Path(folder) / "development.txt"
        # uv keeps the versions that it finds in its output file.
        runtime_lock.write_text(
            existing("requirements.txt", "requirements-torch.txt", "requirements-cuda.txt")
        )
        development_lock.write_text(existing("requirements-dev.txt"))
        runtime = compiled("requirements.in", runtime_lock, *options)
        development = compiled(
            "requirements-dev.in", development_lock, "--constraint", str(runtime_lock), *options
        )
    for name, kept in (
        ("requirements.txt", [b for b in runtime if not TORCH.match(b) and not CUDA.match(b)]),
        ("requirements-torch.txt", [unhashed(b) for b in runtime if TORCH.match(b)]),
        ("requirements-cuda.txt", [b for b in runtime if CUDA.match(b)]),
    ):
        (ROOT / name).write_text(HEADER.format(source="requirements.in") + "".join(kept))
    kept = [b for b in development if not TORCH.match(b) and not CUDA.match(b)]
    (ROOT / "requirements-dev.txt").write_text(HEADER.format(source="requirements-dev.in") + "".join(kept))
    return 0


def existing(*names: str) -> str:
    return "".join((ROOT / name).read_text() for name in names if (ROOT / name).exists())


def compiled(source: str, output: Path, *options: str) -> list[str]:
    """One block of text a package: its line and its hashes."""
    command = [sys.executable, "-m", "uv", "pip", "compile", source, "--output-file", str(output), "--quiet"]
    command += ["--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"]
    command += ["--no-annotate", "--no-header", *options]
    subprocess.run(command, cwd=ROOT, check=True)
    return re.findall(r"^\S.*\n(?:    .*\n)*", output.read_text(), re.MULTILINE)


def unhashed(block: str) -> str:
    return block.split(" ", 1)[0].split("\\")[0].strip() + "\n"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
