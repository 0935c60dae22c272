"""The time to read a file by transfer syntax, compared with dcmtk where it is installed.

    python benchmarks/decode.py [FILE...] [--repeat N]

Without files, a 2000 x 2000 radiograph of 12 bits is written in every syntax. `decode` is from file to stored
values in this process; `parse` is the parsing helper: fork, decode, grayscale rendering, three PNG files.
`dcmtk` is its command line tool writing the file uncompressed; `copy` is dcmconv copying that uncompressed
file, without decoding. `net`, the difference, is the decoding time of dcmtk, and `ratio` is decode / net
(`decode` includes reading the file). dcmtk has no JPEG 2000. Only figures of one run are comparable.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pydicom
from pydicom.uid import JPEGLSTransferSyntaxes, JPEGTransferSyntaxes, RLELossless

from classifier.errors import Refused
from classifier.images.dicom.pixel_data import stored_values
from classifier.images.sandbox.client import ParsingHelper


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder, ParsingHelper() as helper:
        files = arguments.files or _generate(Path(folder))
        heading = _columns("decode", "parse", "dcmtk", "copy", "net", "ratio")
        print(f"{'file':<22}{'transfer syntax':<26}{'pixels':>12}" + heading)
        for path in files:
            _report(path, helper, Path(folder), arguments.repeat)
        print("milliseconds, median")


def _columns(*cells: object) -> str:
    return "".join(f"{cell:>10}" for cell in cells)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="DICOM files (default: generated)")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions (default: 5)")
    return parser.parse_args()


def _report(path: Path, helper: ParsingHelper, folder: Path, repeat: int) -> None:
    dataset = pydicom.dcmread(path)
    syntax = dataset.file_meta.TransferSyntaxUID
    decode = _median(lambda: stored_values(pydicom.dcmread(path)), repeat)
    try:
        parse = f"{_median(lambda: helper.parse(path, folder), repeat):.0f}"
    except Refused as refused:
        parse = refused.reason.value[:12]
    theirs = _dcmtk(path, syntax, folder, repeat)
    dcmtk = ["-"] * 4
    if theirs:
        whole, copy = theirs
        dcmtk[:2] = f"{whole:.0f}", f"{copy:.0f}"
        if syntax.is_encapsulated and whole > copy:
            dcmtk[2:] = f"{whole - copy:.0f}", f"{decode / (whole - copy):.2f}"
    pixels = f"{dataset.Columns}x{dataset.Rows}"
    print(
        f"{path.stem:<22.21}{syntax.name:<26.25}{pixels:>12}" + _columns(f"{decode:.0f}", parse, *dcmtk),
        flush=True,
    )


def _dcmtk(path: Path, syntax: pydicom.uid.UID, folder: Path, repeat: int) -> tuple[float, float] | None:
    """Milliseconds of dcmtk to write `path` uncompressed, and to copy that; None if unsupported."""
    tool = "dcmconv"
    if syntax == RLELossless:
        tool = "dcmdrle"
    elif syntax in JPEGLSTransferSyntaxes:
        tool = "dcmdjpls"
    elif syntax in JPEGTransferSyntaxes:
        tool = "dcmdjpeg"
    elif syntax.is_encapsulated:
        return None
    if shutil.which(tool) is None:
        return None
    command = [tool, "+te"] if tool == "dcmconv" else [tool]
    command += [str(path), str(folder / "theirs.dcm")]
    if subprocess.run(command, capture_output=True).returncode != 0:
        return None
    copy = ["dcmconv", str(folder / "theirs.dcm"), str(folder / "copy.dcm")]
    whole, copied = (
        _median(lambda line=line: subprocess.run(line, capture_output=True, check=True), repeat)
        for line in (command, copy)
    )
    return whole, copied


def _median(work: Callable[[], object], repeat: int) -> float:
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]) * 1000


def _generate(folder: Path) -> list[Path]:
    import numpy as np

    from tests.classifier.images.samples import LOSSLESS, LOSSY, RAW, chest, dataset, write

    noise = np.random.default_rng(0).normal(0, 12, (2000, 2000))
    deep = np.clip(chest(2000, 2000) + noise, 0, 4095).astype(np.uint16)
    files = []
    for syntax in (*RAW, *LOSSLESS, *LOSSY):
        shallow = syntax.name.startswith("JPEG Baseline")
        pixels, bits = ((deep >> 4).astype(np.uint8), 8) if shallow else (deep, 12)
        name = "".join(c if c.isalnum() else "_" for c in syntax.name)[:40]
        files.append(write(folder / f"{name}.dcm", dataset(pixels, syntax=syntax, bits=bits)))
    return files


if __name__ == "__main__":
    main()
