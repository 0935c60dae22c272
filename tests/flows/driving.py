"""What a person does with the pages, as small steps."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path


def wait_for(look: Callable[[], object], what: str, *, seconds: float = 60) -> object:
    """The first true result of `look`; fails with `what` when there is none in time."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)
    return found


def drop(page, files: Iterable[Path]) -> None:
    """Drop files on the middle of the page, as a file manager does."""
    described = [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
    page.evaluate(
        """(files) => {
            const transfer = new DataTransfer();
            for (const [name, content] of files) {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name));
            }
            const details = { dataTransfer: transfer, bubbles: true, cancelable: true };
            for (const type of ["dragenter", "dragover", "drop"]) {
                document.body.dispatchEvent(new DragEvent(type, details));
            }
        }""",
        described,
    )


def upload_with_manifest(page, files: Iterable[Path]) -> None:
    """Drop files with their manifest, look at its preview, and start the upload."""
    drop(page, files)
    preview = page.get_by_role("region", name="Manifest")
    wait_for(lambda: preview.is_visible() and preview.locator("tbody tr").count(), "the preview", seconds=30)
    page.locator("[data-start]").click()


def rows(page) -> dict[str, dict[str, str]]:
    """The upload page's rows by file name: patient, date, outcome, code."""
    found = page.evaluate(
        """() => [...document.querySelectorAll(".upload-row")].map((row) => ({
            name: row.querySelector("[data-name]").textContent,
            patient: row.querySelector("[data-patient-text]").textContent.trim(),
            date: row.querySelector("[data-date-text]").textContent,
            outcome: row.querySelector("[data-state]").textContent,
            code: row.querySelector("[data-code]").textContent,
            href: row.querySelector("[data-link]").getAttribute("href") ?? "",
            busy: row.querySelector("[data-bar]:not([hidden]), .dot.busy") !== null,
        }))"""
    )
    return {row["name"]: row for row in found}


def settled(page, names: Iterable[str]) -> bool:
    """Whether every named file has its result or its reason."""
    shown = rows(page)
    return all(name in shown and _finished(shown[name]) for name in names)


def _finished(row: dict[str, str]) -> bool:
    return bool(row["outcome"] and not row["busy"] and (row["href"] or row["code"]))


def image_now(page) -> bytes:
    """The image with its heatmap as it is seen: other bytes when something else is seen."""
    return page.locator("[data-viewer]").screenshot()


def cam_of(page) -> dict:
    return json.loads(page.locator("#cam").text_content())


def upload(page, file: Path) -> str:
    """The id of the scan that the file becomes; waits for its result."""
    token = page.locator("meta[name=csrf-token]").get_attribute("content")
    headers = {"Content-Type": "application/octet-stream", "X-CSRFToken": token, "Referer": page.url}
    response = page.request.post("/upload/file/", data=file.read_bytes(), headers=headers)
    assert response.ok, response.text()
    scan = response.json()["id"]
    state = f"/scans/{scan}/state/"
    wait_for(lambda: 'data-pending="0"' in page.request.get(state).text(), "a result", seconds=120)
    return scan


def opened(page, address: str) -> None:
    page.goto(address)
    wait_for(lambda: page.locator("[data-scan][data-shown]").count(), "the full image")


def read_out(page, at: int = 0) -> str:
    return page.locator("[data-read-out]").nth(at).inner_text()


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
