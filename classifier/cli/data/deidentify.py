"""Follows DICOM PS3.15 Annex E: the Basic Application Level Confidentiality Profile, dates moved per patient.

The pixels are not touched: `burned_in_declared` and `burned_in_suspected` warn of writing in the image.
The same key makes the same pseudonyms again, and without it nobody finds the way back: keep it apart and
safe. Files of the same content get the same name; nothing is ever overwritten. The exit status is 0 when
every file got an answer (a refusal is one), 1 when one failed, 2 when a file, key or folder that was named
cannot be used.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.contract import ADVICE
from classifier.errors import Refused
from classifier.images.deidentify.pseudonyms import DeidentifyOptions, derive_key

if TYPE_CHECKING:
    from classifier.images.decoded_image import ParseResult
    from classifier.images.sandbox.client import ParsingHelper

KEY_VARIABLE = "HILUM_DEIDENTIFY_KEY"
SHORTEST_KEY = 32
HELPER_FAILED, FILE_TROUBLE, OTHERWISE_THERE = "helper_failed", "file_trouble", "otherwise_there"
NO_PATIENT = "no-patient"
Record = dict[str, Any]


class NoKey(Exception):
    """There is no key that can be used; the message says how to make one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="DICOM, PNG, JPEG, ZIP archives or folders of them"
    )
    parser.add_argument("--out", metavar="DIR", required=True, help="the folder that is written to")
    key = parser.add_mutually_exclusive_group()
    key.add_argument("--key-file", metavar="FILE", help=f"the key (else it is taken from {KEY_VARIABLE})")
    key.add_argument("--new-key", metavar="FILE", help="make a key, keep it in this file, and use it")
    parser.add_argument("--namespace", default="", help="a site's name: pseudonyms hold within it alone")
    parser.add_argument(
        "--keep-characteristics",
        action="store_true",
        help="keep sex, age (90 for all above), size and weight: the Retain Patient Characteristics Option",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from classifier.cli.inputs import files_under
    from classifier.images.sandbox.client import ParsingHelper

    files, missing = files_under(args.files, note=lambda said: print(said, file=sys.stderr))
    for name in missing:
        print(f"{name}: no such file, or it may not be read", file=sys.stderr)
    statuses = set()
    try:
        options = DeidentifyOptions(derive_key(_key(args), args.namespace), args.keep_characteristics)
        Path(args.out).mkdir(mode=0o700, parents=True, exist_ok=True)
    except (NoKey, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    with ParsingHelper() as helper, tqdm(total=len(files), unit="file", leave=False, disable=None) as bar:
        for record in deidentified(files, helper, options, Path(args.out)):
            statuses.add(record["status"])
            bar.write(json.dumps(record) if args.json else line_of(record), file=sys.stdout)
            sys.stdout.flush()
            bar.update()
    return 2 if missing else int("failed" in statuses)


def deidentified(
    files: list[Path], helper: ParsingHelper, options: DeidentifyOptions, out: Path
) -> Iterator[Record]:
    """One record a file, in order, in the form that `--json` prints; archives as the images in them."""
    from classifier.cli.inputs import opened

    for name, found in opened(helper, files):
        started = time.perf_counter()
        record = _one(found, helper, options, out)
        yield {"file": name, **record, "seconds": round(time.perf_counter() - started, 4)}


def _one(found: Path | Exception, helper: ParsingHelper, options: DeidentifyOptions, out: Path) -> Record:
    from classifier.images.sandbox.client import HelperFailed

    try:
        if isinstance(found, Exception):
            raise found
        with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
            facts = helper.parse(found, folder, deidentify=options)
            return _kept(found, facts, Path(folder, facts.files["original"]), options, out)
    except Refused as refused:
        return _record("refused", reason=refused.reason.value)
    except HelperFailed as error:
        print(error, file=sys.stderr)
        return _record("failed", reason=HELPER_FAILED)
    except OSError as error:
        print(error.strerror, file=sys.stderr)
        return _record("failed", reason=FILE_TROUBLE)


def _kept(source: Path, facts: ParseResult, original: Path, options: DeidentifyOptions, out: Path) -> Record:
    """Put a file under its pseudonymous name: the patient's folder, and a keyed digest of what came in."""
    from classifier.images.deidentify.pseudonyms import Pseudonyms

    data = original.read_bytes()
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    patient = str(facts.metadata.get("PatientID") or NO_PATIENT)
    name = Pseudonyms(options.key).short("file", digest) + suffix_of(data)
    target = out / patient / name
    _put(data, target)
    if target.read_bytes() != data:
        return _record("failed", reason=OTHERWISE_THERE, out=str(target))
    warnings = [f"burned_in_{facts.burned_in}"] if facts.burned_in else []
    return _record("ok", out=str(target), patient=patient, warnings=warnings)


def _put(data: bytes, target: Path) -> None:
    """Write a file whole or not at all, and never in the place of what is there already."""
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".draft-") as draft:
        draft.write(data)
        draft.flush()
        os.fsync(draft.fileno())
        with suppress(FileExistsError):
            os.link(draft.name, target)


def suffix_of(data: bytes) -> str:
    if data.startswith(b"\x89PNG"):
        return ".png"
    if data.startswith(b"\xff\xd8"):
        return ".jpg"
    return ".webp" if data.startswith(b"RIFF") else ".dcm"


def _record(status: str, **said: object) -> Record:
    return {"out": None, "status": status, "reason": None, "patient": None, "warnings": [], **said}


def _key(args: argparse.Namespace) -> bytes:
    """The key's text; raises NoKey, OSError."""
    if args.new_key:
        return _new_key(Path(args.new_key))
    said = Path(args.key_file).read_text() if args.key_file else os.environ.get(KEY_VARIABLE, "")
    if len(said.strip()) < SHORTEST_KEY:
        what = f"The key is shorter than {SHORTEST_KEY} characters." if said.strip() else "A key is needed."
        raise NoKey(
            f"{what} Make one and keep it with --new-key FILE, or with\n"
            '  python -c "import secrets; print(secrets.token_hex(32))"\n'
            f"and hand it in with --key-file FILE or {KEY_VARIABLE}."
        )
    return said.strip().encode()


def _new_key(path: Path) -> bytes:
    """Make a key and keep it, for its owner only; raises FileExistsError rather than lose an older one."""
    text = secrets.token_hex(32)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    return text.encode()


def line_of(record: Record) -> str:
    """A record as one line for people."""
    file = record["file"].encode("utf-8", "backslashreplace").decode()
    if record["status"] == "ok":
        return f"{file}: {record['out']}" + "".join(f" ({WARNINGS[code]})" for code in record["warnings"])
    advice = ADVICE.get(record["reason"])
    return f"{file}: {record['status']}: {advice.seen if advice else record['reason']}"


WARNINGS = {
    "burned_in_declared": "the header declares writing in the image itself: look before you pass it on",
    "burned_in_suspected": "there seems to be writing in the image itself: look before you pass it on",
}
