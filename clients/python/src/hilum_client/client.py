"""The client: one method per endpoint, retries where they are safe, lists that fetch further pages."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import httpx

from hilum_client.errors import HilumError, Unreachable
from hilum_client.scans import Scan
from hilum_client.version import VERSION

TRIES, FIRST_PAUSE, LONGEST_PAUSE = 6, 0.5, 30.0
LONGEST_WAIT = 20  # seconds that one long poll asks for
STATES_AT_ONCE = 500
MANIFEST_NAMES = 10_000  # characters
TRANSIENT = frozenset({429, 502, 503, 504})
PATIENCE = 2 * 3600.0


class Hilum:
    """A connection to Hilum with a token: `with Hilum(url, token) as hilum:`.

    `timeout` is for each step of a connection, in seconds. `patience`: how long a request waits for a server
    that is full and states when to come back (Retry-After). Raises HilumError for an error response, and
    Unreachable without a response. `filters` are the query parameters of the endpoint.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float = 60.0,
        patience: float = PATIENCE,
        verify: bool | str = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._patience = patience
        self._http = httpx.Client(
            base_url=url.rstrip("/") + "/api/v1/",
            headers={"Authorization": f"Bearer {token}", "User-Agent": f"hilum-client/{VERSION}"},
            timeout=timeout,
            verify=verify,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- caller and lists -------------------------------------------------------------------------------

    def me(self) -> dict[str, Any]:
        """User, site, role and permissions of the token."""
        return self._json("GET", "me/")

    def scans(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Scans, newest first; filters such as `modality="cxr"`, `received_after="2026-11-20T00:00:00Z"`."""
        return self.listed("scans/", filters)

    def studies(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """The worklist, latest upload first; filters such as `status="done"`, `finding="pneumonia"`."""
        return self.listed("studies/", filters)

    def patients(self, **filters: Any) -> Iterator[dict[str, Any]]:
        return self.listed("patients/", filters)

    def search_patients(self, words: str) -> Iterator[dict[str, Any]]:
        """By patient ID or name, in the body of the request."""
        return self._pages("POST", "patients/search/", json={"q": words})

    def search_studies(self, words: str, **filters: str) -> Iterator[dict[str, Any]]:
        """By patient or accession number."""
        return self._pages("POST", "studies/search/", json={"q": words, **filters})

    def history(self, patient_uuid: str) -> dict[str, Any]:
        """Every scan of a patient in order of time."""
        return self._json("GET", f"patients/{patient_uuid}/history/")

    def listed(self, path: str, filters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Every row of a list, fetched page by page."""
        return self._pages("GET", path, params=_texts(filters))

    # --- labels, models and training --------------------------------------------------------------------

    def labels(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Labels, newest first; filters such as `scan=ID`, `current=True`."""
        return self.listed("labels/", filters)

    def label(self, scan: str, findings: dict[str, str], **fields: Any) -> dict[str, Any]:
        """Label a scan: `findings` maps each to present, absent, uncertain or unread."""
        return self._write("labels/", {"scan": scan, "findings": findings, **fields})

    def marks(self, scan: str) -> Iterator[dict[str, Any]]:
        """Every version of the measurements and marks of a scan, oldest first."""
        return self.listed(f"scans/{scan}/marks/", {})

    def mark(self, scan: str, kind: str, points: list[list[float]], text: str = "") -> dict[str, Any]:
        """Save a measurement or mark; `points` in pixels of the original image."""
        return self._write(f"scans/{scan}/marks/", {"kind": kind, "points": points, "text": text})

    def key_images(self, scan: str) -> Iterator[dict[str, Any]]:
        """The views of a scan that readers marked as important, oldest first."""
        return self.listed(f"scans/{scan}/key-images/", {})

    def models(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Model versions, newest first; filters such as `slot="cxr"`, `status="active"`."""
        return self.listed("models/", filters)

    def model(self, key: str) -> dict[str, Any]:
        """A model version with specification, model card and promotions."""
        return self._json("GET", f"models/{key}/")

    def promote(self, model: str, reason: str, *, override: bool = False) -> dict[str, Any]:
        """Make a model version the active one of its slot."""
        return self._write(f"models/{model}/promote/", {"reason": reason, "override": override})

    def snapshot(self, slot: str = "cxr") -> dict[str, Any]:
        """Create a snapshot of the labelled images, or get the earlier one if nothing has changed."""
        return self._write("snapshots/", {"slot": slot})

    def train(self, **fields: Any) -> dict[str, Any]:
        """Start a training run: `snapshot=ID`, `start="active"`, `config={"epochs": 20}`."""
        return self._write("training-runs/", fields)

    def training_runs(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Training runs, newest first; filters such as `status="running"`."""
        return self.listed("training-runs/", filters)

    def training_run(self, key: str) -> dict[str, Any]:
        """A training run with its progress and result."""
        return self._json("GET", f"training-runs/{key}/")

    # --- uploads and results ----------------------------------------------------------------------------

    def upload(
        self,
        file: str | Path | BinaryIO,
        *,
        name: str | None = None,
        patient_id: str = "",
        study: str = "",
        date: str = "",
        modality: str = "",
        view: str = "",
        sex: str = "",
        age: str = "",
        date_relative: bool = False,
        key: str | None = None,
    ) -> Scan:
        """Upload an image (DICOM, PNG, JPEG, TIFF, WebP) or a ZIP of images, streamed from the disk.

        A file's header comes before what is stated here. `date_relative`: the day is made up.
        `key` is an idempotency key; the default covers the retries of this call.
        """
        if isinstance(file, str | Path):
            with Path(file).open("rb") as opened:
                return self.upload(
                    opened,
                    name=name or readable(Path(file).name),
                    patient_id=patient_id,
                    study=study,
                    date=date,
                    modality=modality,
                    view=view,
                    sex=sex,
                    age=age,
                    date_relative=date_relative,
                    key=key,
                )
        stated = {"patient_id": patient_id, "study": study, "date": date, "modality": modality}
        stated |= {"view": view, "sex": sex, "age": age, "date_relative": "true" if date_relative else ""}
        start = file.tell()

        def parts() -> dict[str, Any]:
            file.seek(start)
            return {
                "files": {"file": (name or "upload", file)},
                "data": {k: v for k, v in stated.items() if v},
            }

        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return Scan.of(self._request("POST", "scans/", headers=headers, fresh=parts).json())

    def read_manifest(
        self, path: str | Path, *, date_order: str = "", encoding: str = "", names: Iterable[str] = ()
    ) -> dict[str, Any]:
        """What each line of a CSV states of its image, and every problem; nothing is stored.

        `names`: files that it may list, which settle the encoding of a text that does not state it.
        """
        path, listed = Path(path), "\n".join(name for name in names if not name.isascii())[:MANIFEST_NAMES]
        stated = {"date_order": date_order, "encoding": encoding, "names": listed}

        def parts() -> dict[str, Any]:
            return {
                "files": {"file": (readable(path.name), path.read_bytes())},
                "data": {name: value for name, value in stated.items() if value},
            }

        found: dict[str, Any] = self._request("POST", "uploads/manifest/", fresh=parts).json()
        return found

    def scan(self, key: str, *, wait: int = 0) -> Scan:
        """A scan or an upload; `wait` up to 30 seconds for its result."""
        return Scan.of(self._json("GET", f"scans/{key}/", params={"wait": str(wait)} if wait else None))

    def wait(self, key: str, *, timeout: float = 300.0) -> Scan:
        """Wait for the result; raises TimeoutError when it has not come by then."""
        end, pause = time.monotonic() + timeout, 0.2
        while True:
            began = time.monotonic()
            scan = self.scan(key, wait=max(0, min(LONGEST_WAIT, int(end - began))))
            if scan.finished:
                return scan
            if time.monotonic() >= end:
                raise TimeoutError(f"no result of {key} within {timeout:.0f} s; it is {scan.status}")
            if time.monotonic() - began < 1:  # the server had no thread to wait with
                time.sleep(min(pause, max(0.0, end - time.monotonic())))
                pause = min(2 * pause, 5.0)

    def states(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Status of uploads, 500 per request: {id: {status, reason, finished}}."""
        asked = list(dict.fromkeys(keys))
        found: dict[str, dict[str, Any]] = {}
        for first in range(0, len(asked), STATES_AT_ONCE):
            body = {"ids": asked[first : first + STATES_AT_ONCE]}
            found |= {one["id"]: one for one in self._json("POST", "uploads/states/", json=body)["results"]}
        return found

    def file(self, scan: str) -> bytes:
        """The original file."""
        return self._request("GET", f"scans/{scan}/file/").content

    def preview(self, scan: str) -> bytes:
        """The image as PNG, at most 1,024 pixels a side."""
        return self._request("GET", f"scans/{scan}/preview/").content

    def cam(self, analysis: str) -> dict[str, Any]:
        """Activation maps: {"grids": {finding: rows}, "affine", "scale", "inside_lungs"}."""
        return self._json("GET", f"analyses/{analysis}/cam/")

    def overlay(self, analysis: str, *, finding: str | None = None, opacity: float = 1.0) -> bytes:
        """The map of a finding drawn over the image, as PNG."""
        params = {"opacity": str(opacity)} | ({"finding": finding} if finding else {})
        return self._request("GET", f"analyses/{analysis}/overlay/", params=params).content

    # --- requests ---------------------------------------------------------------------------------------

    def _pages(self, method: str, path: str, **request: Any) -> Iterator[dict[str, Any]]:
        page = self._json(method, path, **request)
        request.pop("params", None)  # they are part of `next`
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            page = self._json(method, page["next"], **request)

    def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        return self._request(method, path, **request).json()

    def _write(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A request that must not be repeated blindly: a lost connection is reported, not retried."""
        return self._request("POST", path, tries=1, json=body).json()

    def _request(
        self, method: str, path: str, *, tries: int = TRIES, fresh: Any = None, **request: Any
    ) -> httpx.Response:
        """Reads and searches are retried, and uploads, which carry an idempotency key.

        A server that states when to come back is no failure: that wait does not use up a try.
        """
        pause, left, patience = FIRST_PAUSE, tries, self._patience
        while True:
            try:
                response = self._http.request(method, path, **request, **(fresh() if fresh else {}))
            except httpx.TransportError as lost:
                left -= 1
                if not left:
                    raise Unreachable(f"no response: {lost}") from lost
            else:
                if response.status_code not in TRANSIENT or tries == 1:
                    return _checked(response)
                wait = _retry_after(response)
                if wait and wait <= patience:
                    patience -= wait
                    time.sleep(wait)
                    continue
                left -= 1
                if not left or wait:
                    return _checked(response)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def readable(path: str | Path) -> str:
    """A path as text; bytes of a name that is not UTF-8, as on old discs, are written as %F6."""
    text = path if isinstance(path, str) else path.as_posix()
    return "".join(f"%{ord(c) - 0xDC00:02X}" if "\udc80" <= c <= "\udcff" else c for c in text)


def _retry_after(response: httpx.Response) -> float:
    """Seconds to wait, stated as such or as a date (RFC 9110); 0 where nothing is stated."""
    stated = response.headers.get("Retry-After", "").strip()
    if stated.isdecimal():
        return float(stated)
    try:
        return max(0.0, (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        problem = response.json()
    except ValueError:
        problem = {"detail": response.reason_phrase}
    raise HilumError(response.status_code, problem if isinstance(problem, dict) else {})


def _texts(filters: dict[str, Any]) -> dict[str, str]:
    given = {name: value for name, value in filters.items() if value is not None}
    return {name: str(v).lower() if isinstance(v, bool) else str(v) for name, v in given.items()}
