"""The main job in a real browser, against everything that `make run` starts."""

from __future__ import annotations

import csv
import struct
import zlib
from pathlib import Path

import pytest

from tests.flows.driving import cam_of, drop, image_now, rows, settled, upload_with_manifest, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory) -> Path:
    """Images of two simulated patients with their manifest, as PNG and DICOM."""
    from classifier.phantom.collection import write_collection

    folder = tmp_path_factory.mktemp("phantoms")
    write_collection(folder, patients=2, seed=11, size=384)
    return folder


def read_scan(page) -> None:
    """On a scan's page: move opacity and class, and see the image follow."""
    wait_for(lambda: page.locator("[data-scan][data-shown]").count(), "the image")
    wait_for(lambda: page.locator("[data-heatmap]").count(), "the heatmap's controls")
    assert page.locator(".bar-row").count() >= 2
    assert "not a medical device" in page.locator("footer").inner_text()
    choose = page.get_by_label("Finding", exact=True)
    strongest_first = max(cam_of(page)["grids"], key=lambda f: max(map(max, cam_of(page)["grids"][f])))
    choose.select_option(strongest_first)
    opacity = page.get_by_label("Map opacity")
    opacity.fill("1")
    strong = image_now(page)
    opacity.fill("0")
    wait_for(lambda: image_now(page) != strong, "the map to go")
    without = image_now(page)
    opacity.fill("0.8")
    wait_for(lambda: image_now(page) != without, "the map to come back")
    of_one_class = image_now(page)
    page.locator("body").press("c")
    wait_for(lambda: image_now(page) != of_one_class, "the next class")
    page.locator("body").press("i")
    wait_for(lambda: "inverted" in page.locator("[data-read-out]").inner_text(), "the inversion")


def test_from_dropped_files_to_the_patients_history(page, phantoms):
    named = list(csv.DictReader((phantoms / "manifest.csv").open()))
    page.goto("/upload/")
    upload_with_manifest(page, sorted(phantoms.iterdir()))
    names = [row["image"] for row in named]
    wait_for(lambda: settled(page, names), "every result", seconds=240)
    shown = rows(page)
    for row in named:
        assert "threshold" in shown[row["image"]]["outcome"], shown[row["image"]]
        assert shown[row["image"]]["date"].startswith(row["study_date"])
    page.get_by_role("button", name="Copy summary").click()
    wait_for(lambda: "Copied" in page.locator("[data-copied]").inner_text(), "the copy")
    assert f"{len(names)} with a result" in page.locator("[data-tally]").inner_text()

    page.get_by_role("link", name="Worklist").click()
    wait_for(lambda: page.locator("tr[data-href]").count() >= len(names), "a row for every study")
    page.wait_for_load_state()
    page.locator("body").press("j")
    page.locator("tr[data-href]:focus").press("Enter")
    page.wait_for_url("**/scans/**")
    assert "Simulated image" in page.locator(".banner").inner_text()
    read_scan(page)

    assert page.locator("footer .end").inner_text() in names
    page.locator(".patient-head a").click()
    page.wait_for_url("**/patients/**")
    dates = [text[:10] for text in page.locator(".timeline tbody td:nth-child(2)").all_inner_texts()]
    assert len(dates) >= 2
    assert dates == sorted(dates, reverse=True)


def test_a_scans_page_fills_in_automatically(page, tmp_path):
    from classifier.phantom.files import write_png
    from classifier.phantom.render import render

    write_png(tmp_path / "fresh.png", render(4711, size=384))
    token = page.locator("meta[name=csrf-token]").get_attribute("content")
    headers = {"Content-Type": "application/octet-stream", "X-CSRFToken": token, "Referer": page.url}
    response = page.request.post("/upload/file/", data=(tmp_path / "fresh.png").read_bytes(), headers=headers)
    assert response.status == 201, response.text()
    page.goto(f"/scans/{response.json()['id']}/")
    wait_for(lambda: page.locator(".bar-row").count(), "the probabilities")
    wait_for(lambda: page.locator("[data-scan][data-shown]").count(), "the image")
    assert "threshold" in page.locator(".headline").inner_text()


def declares(width: int, height: int) -> bytes:
    """A PNG whose header promises that many 8-bit grey pixels and whose body has next to none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_what_cannot_be_read_states_why_and_hinders_nobody(page, expected, phantoms, tmp_path):
    expected.append("status of 400")
    whole = (phantoms / "PHANTOM-001_1.dcm").read_bytes()
    files = {
        "letter.png": (b"Dear colleague", "not_an_image"),
        "empty.png": (b"", "empty_file"),
        "vast.png": (declares(60_000, 60_000), "too_large"),
        "truncated.dcm": (whole[: len(whole) // 2], "undecodable"),
        "blank.png": (declares(10, 10), "too_small"),
    }
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content)
    page.goto("/upload/")
    page.get_by_label("For dropped files: patient ID").fill("P-1")
    drop(page, sorted(tmp_path.iterdir()))
    wait_for(lambda: settled(page, files), "every reason")
    shown = rows(page)
    assert {name: shown[name]["code"] for name in files} == {name: code for name, (_, code) in files.items()}


def test_a_file_over_the_limit_is_reported_before_it_is_sent(page):
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto("/upload/")
    page.evaluate(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(200 * 1024 * 1024)], "huge.dcm"));
            const details = { dataTransfer: transfer, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new DragEvent("drop", details));
        }"""
    )
    wait_for(lambda: rows(page).get("huge.dcm"), "its row")
    assert rows(page)["huge.dcm"]["code"] == "too_large"
    assert "200.0 MB exceeds the limit of 128.0 MB" in rows(page)["huge.dcm"]["outcome"]
    assert not [url for url in sent if url.endswith("/upload/file/")]


def test_a_search_leaves_no_trace_in_the_address(page):
    page.goto("/")
    page.get_by_label("Patient or accession number").fill("PHANTOM-001")
    page.get_by_role("button", name="Search").click()
    page.wait_for_load_state()
    assert "PHANTOM" not in page.url
    assert "PHANTOM-001" in page.locator("[data-worklist]").inner_text()


@pytest.mark.shared_data
def test_real_images_with_their_manifest(page, shared_data):
    originals = shared_data / "originals"
    named = list(csv.DictReader((originals / "manifest.csv").open()))
    film = shared_data / "dicom" / "RG1_J2KI.dcm"
    page.goto("/upload/")
    # The manifest counts days: the page asks for day 0 before it sends.
    drop(page, [*sorted(originals.iterdir()), film])
    page.get_by_label("Calendar date of day 0").fill("2026-03-01")
    page.get_by_role("button", name="Upload 39 files").click()
    names = [*(row["image"] for row in named), film.name]
    wait_for(lambda: settled(page, names), "every result", seconds=400)
    shown = rows(page)
    for row in named:
        assert shown[row["image"]]["patient"] == row["patient"]
        assert shown[row["image"]]["href"], shown[row["image"]]
    assert shown["ieee-253-00.jpg"]["date"] == "2026-03-06 (relative)"
    assert shown["nih-00000061_012.png"]["date"] == "undated"
    page.goto(shown["ieee-253-04.jpg"]["href"])
    if page.locator("[data-heatmap]").count():
        read_scan(page)
    page.locator(".patient-head a").click()
    page.wait_for_url("**/patients/**")
    dates = [text[:10] for text in page.locator(".timeline tbody td:nth-child(2)").all_inner_texts()]
    assert dates == ["2026-03-22", "2026-03-13", "2026-03-10", "2026-03-08", "2026-03-06"]
