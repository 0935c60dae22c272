"""The client: one method an address, retries where they are safe, lists that fetch their pages as they go."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
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
TRANSIENT = frozenset({429, 502, 503, 504})


class Hilum:
    """A site of Hilum, opened by a token: `with Hilum(url, token) as hilum:`.

    `timeout` is for each step of a connection, in seconds. Raises HilumError for what the site refuses, and
    Unreachable when it does not answer.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float = 60.0,
        verify: bool | str = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
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

    # --- who, and what there is -------------------------------------------------------------------------

    def me(self) -> dict[str, Any]:
        """Who the token speaks for, where, and what it may do."""
        return self._json("GET", "me/")

    def scans(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Scans, newest first; filters such as `modality="cxr"`, `received_after="2026-11-20T00:00:00Z"`."""
        return self.listed("scans/", filters)

    def studies(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """The worklist, latest arrival first; filters such as `status="done"`, `finding="pneumonia"`."""
        return self.listed("studies/", filters)

    def patients(self, **filters: Any) -> Iterator[dict[str, Any]]:
        return self.listed("patients/", filters)

    def search_patients(self, words: str) -> Iterator[dict[str, Any]]:
        """By identifier or name, in the body of the request."""
        return self._searched("patients/search/", words)

    def search_studies(self, words: str, **filters: str) -> Iterator[dict[str, Any]]:
        """By patient or accession number."""
        return self._searched("studies/search/", words, **filters)

    def history(self, patient: str) -> dict[str, Any]:
        """Every scan of a patient in order of time."""
        return self._json("GET", f"patients/{patient}/history/")

    def models(self, **filters: Any) -> Iterator[dict[str, Any]]:
        return self.listed("models/", filters)

    def listed(self, path: str, filters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Every row of a list, fetched page by page as it is walked."""
        params = {name: _text(value) for name, value in filters.items() if value is not None}
        page = self._json("GET", path, params=params)
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            page = self._json("GET", page["next"])

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
        key: str | None = None,
    ) -> Scan:
        """Hand in one image (DICOM, PNG, JPEG, TIFF, WebP) or a ZIP of them, streamed from the disk.

        `key` makes a repetition recognisable; a fresh one covers the retries of this call.
        """
        if isinstance(file, str | Path):
            with Path(file).open("rb") as opened:
                return self.upload(
                    opened,
                    name=name or Path(file).name,
                    patient_id=patient_id,
                    study=study,
                    date=date,
                    modality=modality,
                    key=key,
                )
        said = {"patient_id": patient_id, "study": study, "date": date, "modality": modality}
        start = file.tell()

        def parts() -> dict[str, Any]:
            file.seek(start)
            return {"files": {"file": (name or "upload", file)}, "data": {k: v for k, v in said.items() if v}}

        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return Scan.of(self._request("POST", "scans/", headers=headers, fresh=parts).json())

    def scan(self, key: str, *, wait: int = 0) -> Scan:
        """What became of a scan or an upload; `wait` for its result for up to 30 seconds."""
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
        """How many uploads stand, 500 in one request: {id: {status, reason, finished}}."""
        asked = list(dict.fromkeys(keys))
        found: dict[str, dict[str, Any]] = {}
        for first in range(0, len(asked), STATES_AT_ONCE):
            body = {"ids": asked[first : first + STATES_AT_ONCE]}
            found |= {one["id"]: one for one in self._json("POST", "uploads/states/", json=body)["results"]}
        return found

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

    # --- the wire ---------------------------------------------------------------------------------------

    def _searched(self, path: str, words: str, **filters: str) -> Iterator[dict[str, Any]]:
        body: dict[str, Any] = {"q": words, **filters}
        while True:
            page = self._json("POST", path, json=body)
            yield from page["results"]
            if not page["next"]:
                return
            body["cursor"] = page["next"]

    def _json(self, method: str, path: str, **asked: Any) -> dict[str, Any]:
        return self._request(method, path, **asked).json()

    def _request(self, method: str, path: str, *, fresh: Any = None, **asked: Any) -> httpx.Response:
        """Every request of this client may be repeated: reads, searches, and uploads, which carry a key."""
        pause, error = FIRST_PAUSE, None
        for left in reversed(range(TRIES)):
            try:
                response = self._http.request(method, path, **asked, **(fresh() if fresh else {}))
            except httpx.TransportError as lost:
                error, asked_to_wait = lost, 0.0
            else:
                if response.status_code not in TRANSIENT or not left:
                    return _checked(response)
                asked_to_wait = float(response.headers.get("Retry-After", 0))
            if left:
                time.sleep(min(max(pause, asked_to_wait), 60.0))
                pause = min(2 * pause, LONGEST_PAUSE)
        raise Unreachable(f"the site does not answer: {error}") from error


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        problem = response.json()
    except ValueError:
        problem = {"detail": response.reason_phrase}
    raise HilumError(response.status_code, problem if isinstance(problem, dict) else {})


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
