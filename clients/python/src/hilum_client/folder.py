"""Upload of a folder: with progress, resumed after an interruption, results as CSV.

A journal in the folder holds a line for each uploaded file: relative path, size, SHA-256, ID. A file in it
with the same size and hash is not sent again; an interrupted one is, under the same idempotency key,
which is made from its bytes and the stated metadata.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from hilum_client.client import Hilum, readable
from hilum_client.errors import HilumError
from hilum_client.scans import Scan

UNREADABLE = "unreadable_file"  # code of a file that cannot be opened
JOURNAL = ".hilum-upload.jsonl"
COLUMNS = ["file", "id", "status", "reason", "finding", "withheld", "model", "uncertainty"]
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
DISCLAIMER = "Research and quality-improvement use; not a medical device."
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Sent:
    """A file that was uploaded (`id`), or refused or unreadable before it was stored (`code`)."""

    file: str
    size: int
    sha256: str
    id: str = ""
    code: str = ""

    def is_of(self, other: Sent) -> bool:
        """Whether both are of the same bytes."""
        return (self.size, self.sha256) == (other.size, other.sha256)


class FolderUpload:
    """The upload of one folder to one site; `stated` is sent with every file (`patient_id`, `modality` …).

    `rows`: what else is stated of a file, by its path in the folder; other files are then left out.
    """

    def __init__(
        self,
        hilum: Hilum,
        folder: str | Path,
        *,
        journal: str | Path | None = None,
        rows: dict[str, dict[str, Any]] | None = None,
        **stated: Any,
    ) -> None:
        self.hilum, self.folder, self.stated, self.rows = hilum, Path(folder), stated, rows
        self.journal = Path(journal) if journal else self.folder / JOURNAL

    def files(self) -> list[Path]:
        """Every file below the folder in a fixed order, hidden ones left out."""
        return sorted(
            path
            for path in self.folder.rglob("*")
            if path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(self.folder).parts)
        )

    def send(self, progress: Progress | None = None) -> list[Sent]:
        """Upload what was not uploaded before; returns every file of the folder.

        `progress(done, total, file)` is called after each. A refused file is noted and the next one sent;
        raises Unreachable, and HilumError for what concerns all, such as a missing scope.
        """
        known = {sent.file: sent for sent in self._read()}
        files, done = self.files(), []
        if self.rows is not None:
            files = [path for path in files if readable(path.relative_to(self.folder)) in self.rows]
        with self.journal.open("a", encoding="utf-8") as journal:
            for number, path in enumerate(files, 1):
                mark = self._mark(path)
                sent = mark if mark.code else known.get(mark.file)
                if not sent or (not mark.code and (sent.code or not mark.is_of(sent))):
                    sent = self._upload(path, mark)
                    journal.write(json.dumps(asdict(sent)) + "\n")
                    journal.flush()
                    os.fsync(journal.fileno())
                done.append(sent)
                if progress:
                    progress(number, len(files), sent.file)
        return done

    def wait(
        self, sent: list[Sent], *, timeout: float = 3600.0, progress: Progress | None = None
    ) -> Iterator[tuple[Sent, Scan | None]]:
        """The results in the order of the files; None for a refused one.

        All are polled with one request at a time; raises TimeoutError when some have not come by then.
        """
        open_ids = {one.id for one in sent if one.id}
        total, end, pause = len(open_ids), time.monotonic() + timeout, 0.5
        while open_ids:
            states = self.hilum.states(open_ids)
            finished = {key for key in open_ids if key not in states or states[key]["finished"]}
            open_ids -= finished
            if progress:
                progress(total - len(open_ids), total, "")
            if open_ids and time.monotonic() > end:
                raise TimeoutError(f"{len(open_ids)} of {total} have no result within {timeout:.0f} s")
            if open_ids:
                time.sleep(pause)
                pause = 0.5 if finished else min(pause * 1.5, 5.0)
        for one in sent:
            yield one, self.hilum.scan(one.id) if one.id else None

    def _mark(self, path: Path) -> Sent:
        name = readable(path.relative_to(self.folder))
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                return Sent(name, file.tell(), digest)
        except OSError:
            return Sent(name, 0, "", code=UNREADABLE)

    def _upload(self, path: Path, mark: Sent) -> Sent:
        values = self.stated | (self.rows or {}).get(mark.file, {})
        stated = json.dumps([mark.sha256, values], sort_keys=True)
        key = "folder-" + hashlib.sha256(stated.encode()).hexdigest()
        try:
            return replace(mark, id=self.hilum.upload(path, key=key, **values).id)
        except HilumError as error:
            if error.status in (401, 403, 429) or error.status >= 500:
                raise
            return replace(mark, code=error.code)

    def _read(self) -> Iterator[Sent]:
        if not self.journal.exists():
            return
        for line in self.journal.read_text(encoding="utf-8").splitlines():
            try:
                yield Sent(**json.loads(line))
            except (ValueError, TypeError):
                continue  # the line that was being written when everything stopped


def write_csv(out: TextIO, results: Iterator[tuple[Sent, Scan | None]]) -> int:
    """One line per file, one column per finding; returns the number of lines."""
    rows = [_row(sent, scan) for sent, scan in results]
    findings = sorted({name for row in rows for name in row if name.startswith("p_")})
    writer = csv.DictWriter(out, [*COLUMNS, *findings, "note"], restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _guarded(value) for key, value in row.items()} | {"note": DISCLAIMER})
    return len(rows)


def _guarded(value: object) -> object:
    """Text that no spreadsheet takes for a formula (CWE-1236); numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA) else value


def _row(sent: Sent, scan: Scan | None) -> dict[str, object]:
    if scan is None:
        return {"file": sent.file, "status": "not_accepted", "reason": sent.code}
    analysis = scan.analysis or {}
    row: dict[str, object] = {
        "file": sent.file,
        "id": scan.id,
        "status": scan.status,
        "reason": scan.reason or "",
        "finding": scan.finding or "",
        "withheld": str(scan.withheld).lower(),
        "model": (analysis.get("model") or {}).get("name", ""),
        "uncertainty": analysis.get("uncertainty", ""),
    }
    return row | {f"p_{finding}": value for finding, value in scan.probabilities.items()}
