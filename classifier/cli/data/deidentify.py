"""Follows DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile, with dates moved per
patient.

Every image is rewritten from its samples, which are not changed: the warnings `burned_in_declared` and
`burned_in_suspected` mark images with burned-in text. The same key gives the same pseudonyms, and nobody can
reverse them without it: store it safely and separately. Files with the same content get the same name; files
are never overwritten. The exit status is 0 if every file has a result (a refusal is one), 1 if a file failed,
and 2 if a named file, key or folder cannot be used.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.cli.arguments import UsageError, add_files_argument, add_json_option
from classifier.errors import Refused
from classifier.images.deidentify.pseudonyms import DeidentifyOptions, derive_key
from classifier.reasons import ADVICE

if TYPE_CHECKING:
    from classifier.images.decoded_image import ParseResult
    from classifier.images.sandbox.client import ParsingHelper

KEY_VARIABLE = "HILUM_DEIDENTIFY_KEY"
SHORTEST_KEY = 32
HELPER_FAILED, FILE_ERROR, NAME_TAKEN = "helper_failed", "file_error", "name_taken"
NO_PATIENT = "no-patient"
Record = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_files_argument(parser)
    add("--out", metavar="DIR", required=True, help="folder to write to")
    key = parser.add_mutually_exclusive_group()
    key.add_argument("--key-file", metavar="FILE", help=f"file with the key (default: {KEY_VARIABLE})")
    key.add_argument("--new-key", metavar="FILE", help="create a key and store it in this file")
    add("--namespace", default="", help="name of the site; each has other pseudonyms")
    add(
        "--keep-characteristics",
        action="store_true",
        help="keep sex, age (at most 90), size and weight (Retain Patient Characteristics Option)",
    )
    add_json_option(parser, "print one JSON object per line")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from classifier.cli.inputs import find_files, print_records
    from classifier.images.sandbox.client import ParsingHelper

    files, missing = find_files(args.files)
    try:
        options = DeidentifyOptions(derive_key(_key(args), args.namespace), args.keep_characteristics)
        Path(args.out).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    with ParsingHelper() as helper, tqdm(total=len(files), unit="file", leave=False, disable=None) as bar:
        failed = print_records(deidentified(files, helper, options, Path(args.out)), bar, args.json, line_of)
    return 2 if missing else int(failed)


def deidentified(
    files: list[Path], helper: ParsingHelper, options: DeidentifyOptions, out: Path
) -> Iterator[Record]:
    """One record per file or archive member, in order, as `--json` prints them."""
    from classifier.cli.inputs import expand

    for name, found in expand(helper, files):
        started = time.perf_counter()
        record = _deidentify(found, helper, options, out)
        yield {"file": name, **record, "seconds": round(time.perf_counter() - started, 4)}


def _deidentify(
    found: Path | Exception, helper: ParsingHelper, options: DeidentifyOptions, out: Path
) -> Record:
    from classifier.images.sandbox.client import HelperFailed

    try:
        if isinstance(found, Exception):
            raise found
        with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
            facts = helper.parse(found, folder, deidentify=options)
            return _store(found, facts, Path(folder, facts.files["original"]), options, out)
    except Refused as refused:
        return _record("refused", reason=refused.reason.value)
    except HelperFailed as error:
        print(error, file=sys.stderr)
        return _record("failed", reason=HELPER_FAILED)
    except OSError as error:
        print(error.strerror, file=sys.stderr)
        return _record("failed", reason=FILE_ERROR)


def _store(source: Path, facts: ParseResult, original: Path, options: DeidentifyOptions, out: Path) -> Record:
    """Store the result in the folder of the patient, under a keyed digest of the original file."""
    from classifier.images.deidentify.pseudonyms import Pseudonyms

    data = original.read_bytes()
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    patient = str(facts.metadata.get("PatientID") or NO_PATIENT)
    name = Pseudonyms(options.key).short("file", digest) + suffix_of(data)
    target = out / patient / name
    _write(data, target)
    if target.read_bytes() != data:
        return _record("failed", reason=NAME_TAKEN, out=str(target))
    warnings = [f"burned_in_{facts.burned_in}"] if facts.burned_in else []
    return _record("ok", out=str(target), patient=patient, warnings=warnings)


def _write(data: bytes, target: Path) -> None:
    """Write a file atomically, never over an existing one."""
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
    return ".dcm"


def _record(status: str, **values: object) -> Record:
    return {"out": None, "status": status, "reason": None, "patient": None, "warnings": [], **values}


def _key(args: argparse.Namespace) -> bytes:
    """The key. Raises UsageError, OSError."""
    if args.new_key:
        return _new_key(Path(args.new_key))
    key = Path(args.key_file).read_text() if args.key_file else os.environ.get(KEY_VARIABLE, "")
    if len(key.strip()) < SHORTEST_KEY:
        what = f"The key has fewer than {SHORTEST_KEY} characters." if key.strip() else "A key is required."
        raise UsageError(
            f"{what} Create one with --new-key FILE, or with\n"
            '  python -c "import secrets; print(secrets.token_hex(32))"\n'
            f"and pass it with --key-file FILE or {KEY_VARIABLE}."
        )
    return key.strip().encode()


def _new_key(path: Path) -> bytes:
    """Create a key file, readable by its owner only. Raises FileExistsError for an existing file."""
    text = secrets.token_hex(32)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    return text.encode()


def line_of(record: Record) -> str:
    """A record as one line of text."""
    file = record["file"].encode("utf-8", "backslashreplace").decode()
    if record["status"] == "ok":
        return f"{file}: {record['out']}" + "".join(f" ({WARNINGS[code]})" for code in record["warnings"])
    advice = ADVICE.get(record["reason"])
    return f"{file}: {record['status']}: {advice.problem if advice else record['reason']}"


WARNINGS = {
    "burned_in_declared": "burned-in text declared in the header; check before sharing",
    "burned_in_suspected": "burned-in text suspected; check before sharing",
}
