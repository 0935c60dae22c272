"""`hilum`: Hilum from the command line. HILUM_URL and HILUM_TOKEN hold the address and the token."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import date
from pathlib import Path

from hilum_client.client import Hilum
from hilum_client.errors import HilumError, Unreachable
from hilum_client.folder import FolderUpload, write_csv
from hilum_client.manifest import FolderManifest, read_folder_manifest

REFUSED, UNREACHABLE, INTERRUPTED = 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    token = os.environ.get("HILUM_TOKEN", "")
    if not token:
        return _complain("Set HILUM_TOKEN: manage.py create_token USER prints one.")
    try:
        with Hilum(asked.url, token, verify=asked.ca or True) as hilum:
            return asked.run(hilum, asked) or 0
    except HilumError as error:
        return _complain(str(error))
    except (Unreachable, TimeoutError) as error:
        return _complain(f"{error} Run the same command again to resume.", UNREACHABLE)
    except KeyboardInterrupt:
        return _complain("Interrupted. Run the same command again to resume.", INTERRUPTED)


def whoami(hilum: Hilum, asked: argparse.Namespace) -> None:
    print(json.dumps(hilum.me(), indent=2))


def upload(hilum: Hilum, asked: argparse.Namespace) -> int:
    stated = {k: v for k in ("patient_id", "study", "date", "modality") if (v := getattr(asked, k))}
    folder = FolderUpload(hilum, asked.folder, journal=asked.journal, **stated)
    if asked.manifest:
        manifest = _manifest(hilum, asked, folder)
        folder.rows = manifest.files
        left = len(folder.files()) - len(manifest.files)
        print(f"{len(manifest.files)} files listed, {left} left out.", file=sys.stderr)
        if asked.preview or not manifest.is_complete:
            return 0 if manifest.is_complete else REFUSED
    sent = folder.send(_progress("sent"))
    refused = [one for one in sent if one.code]
    for one in refused:
        print(f"\n{one.file}: {one.code}", file=sys.stderr, end="")
    print(f"\n{len(sent) - len(refused)} of {len(sent)} files uploaded.", file=sys.stderr)
    if asked.csv:
        results = folder.wait(sent, timeout=asked.timeout, progress=_progress("finished"))
        draft = Path(asked.csv).with_suffix(".part")
        try:
            with draft.open("w", newline="", encoding="utf-8") as out:
                lines = write_csv(out, results)
            draft.replace(asked.csv)
        finally:
            draft.unlink(missing_ok=True)
        print(f"\n{lines} lines in {asked.csv}", file=sys.stderr)
    return REFUSED if refused else 0


def _manifest(hilum: Hilum, asked: argparse.Namespace, folder: FolderUpload) -> FolderManifest:
    """The manifest, with its preview on the screen."""
    manifest = read_folder_manifest(
        hilum,
        asked.manifest,
        folder.folder,
        folder.files(),
        date_order=asked.date_order,
        encoding=asked.encoding,
        day_zero=asked.day_zero,
    )
    for line in manifest.preview():
        print(line, file=sys.stderr)
    return manifest


def wait(hilum: Hilum, asked: argparse.Namespace) -> None:
    print(json.dumps(hilum.wait(asked.id, timeout=asked.timeout).data, indent=2))


def overlay(hilum: Hilum, asked: argparse.Namespace) -> None:
    Path(asked.out).write_bytes(hilum.overlay(asked.analysis, finding=asked.finding))


def studies(hilum: Hilum, asked: argparse.Namespace) -> None:
    for study in hilum.studies(status=asked.status, finding=asked.finding):
        print(json.dumps(study))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("hilum", description=__doc__)
    parser.add_argument("--url", default=os.environ.get("HILUM_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--ca", help="a file of certificates to trust, for a hospital's own authority")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("whoami", help="user, site and permissions of the token")
    command.set_defaults(run=whoami)
    command = commands.add_parser(
        "upload", help="upload every file of a folder; resumes after an interruption"
    )
    command.add_argument("folder", type=Path)
    command.add_argument("--csv", metavar="FILE", help="wait for the results and write them to this file")
    command.add_argument("--journal", help="list of what was sent (default: in the folder)")
    command.add_argument("--timeout", type=float, default=3600.0, help="seconds to wait for results")
    for name in ("patient-id", "study", "date", "modality"):
        command.add_argument(f"--{name}", default="", help="stated for every file")
    _add_manifest(command)
    command.set_defaults(run=upload)
    command = commands.add_parser("wait", help="wait for the result of a scan")
    command.add_argument("id")
    command.add_argument("--timeout", type=float, default=300.0)
    command.set_defaults(run=wait)
    command = commands.add_parser("overlay", help="an activation map drawn over its image, as PNG")
    command.add_argument("analysis")
    command.add_argument("out")
    command.add_argument("--finding")
    command.set_defaults(run=overlay)
    command = commands.add_parser("studies", help="the worklist, one JSON object per line")
    command.add_argument("--status")
    command.add_argument("--finding")
    command.set_defaults(run=studies)
    return parser


def _add_manifest(command: argparse.ArgumentParser) -> None:
    options = command.add_argument_group("manifest", "a CSV with image, patient, and date, view, sex, age")
    options.add_argument("--manifest", type=Path, metavar="FILE", help="upload only the files that it lists")
    options.add_argument(
        "--preview", action="store_true", help="show how the manifest is read; upload nothing"
    )
    options.add_argument("--date-order", choices=["dmy", "mdy"], default="", help="what 05/03/2024 is")
    options.add_argument("--encoding", default="", help="encoding of the manifest (default: detected)")
    options.add_argument(
        "--day-zero", type=date.fromisoformat, metavar="DATE", help="calendar date of day 0 of offset_days"
    )


def _progress(what: str):
    """A line that is overwritten on a terminal; every twentieth one elsewhere."""

    def show(done: int, total: int, file: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{done}/{total} {what}  {file[-50:]:50}", end="", file=sys.stderr, flush=True)
        elif done == total or done % 20 == 0:
            print(f"{done}/{total} {what}", file=sys.stderr, flush=True)

    return show


def _complain(text: str, status: int = REFUSED) -> int:
    print(f"\n{text}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
