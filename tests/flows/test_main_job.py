"""The main job in a real browser, against everything that `make run` starts."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.flows.driving import cam_of, drop, picture_now, rows, settled, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory) -> Path:
    """Pictures of two simulated patients with their manifest, as PNG and DICOM."""
    from classifier.phantom.collection import write_collection

    folder = tmp_path_factory.mktemp("phantoms")
    write_collection(folder, patients=2, seed=11, size=384)
    return folder


def read_scan(page) -> None:
    """On a scan's page: move opacity and class, and see the picture follow."""
    wait_for(lambda: page.locator("[data-scan][data-shown]").count(), "the picture")
    wait_for(lambda: page.locator("[data-heatmap]").count(), "the heatmap's controls")
    assert page.locator(".bar-row").count() >= 2
    assert "not a medical device" in page.locator("footer").inner_text()
    choose = page.get_by_label("of", exact=True)
    strongest_first = max(cam_of(page)["grids"], key=lambda f: max(map(max, cam_of(page)["grids"][f])))
    choose.select_option(strongest_first)
    opacity = page.get_by_label("Map opacity")
    opacity.fill("1")
    strong = picture_now(page)
    opacity.fill("0")
    without = picture_now(page)
    assert strong != without
    opacity.fill("0.8")
    of_one_class = picture_now(page)
    page.locator("body").press("c")
    assert picture_now(page) != of_one_class
    page.locator("body").press("i")
    assert "inverted" in page.locator("[data-read-out]").inner_text()


def test_from_dropped_files_to_the_patients_history(page, phantoms):
    named = list(csv.DictReader((phantoms / "manifest.csv").open()))
    page.goto("/upload/")
    drop(page, sorted(phantoms.iterdir()))
    names = [row["image"] for row in named]
    wait_for(lambda: settled(page, names), "every result", seconds=240)
    shown = rows(page)
    for row in named:
        assert "threshold" in shown[row["image"]]["outcome"], shown[row["image"]]
        assert shown[row["image"]]["date"].startswith(row["study_date"])
    page.get_by_role("button", name="Copy the summary").click()
    assert "Copied" in page.locator("[data-copied]").inner_text()
    assert f"{len(names)} with a result" in page.locator("[data-tally]").inner_text()

    page.get_by_role("link", name="Worklist").click()
    wait_for(lambda: page.locator("tr[data-href]").count() >= len(names), "a row for every study")
    page.wait_for_load_state()
    page.locator("body").press("j")
    page.locator("tr[data-href]:focus").press("Enter")
    page.wait_for_url("**/scans/**")
    assert "Simulated picture" in page.locator(".banner").inner_text()
    read_scan(page)

    page.locator(".patient-head a").click()
    page.wait_for_url("**/patients/**")
    dates = [text[:10] for text in page.locator(".timeline tbody td:nth-child(2)").all_inner_texts()]
    assert len(dates) >= 2
    assert dates == sorted(dates)


def test_a_file_that_is_no_image_says_so_and_hinders_nobody(page, expected, tmp_path):
    expected.append("status of 400")
    (tmp_path / "letter.png").write_text("Dear colleague")
    (tmp_path / "empty.png").touch()
    page.goto("/upload/")
    drop(page, [tmp_path / "letter.png", tmp_path / "empty.png"])
    page.get_by_role("button", name="Upload 2 files").click()
    wait_for(lambda: settled(page, ["letter.png", "empty.png"]), "both reasons")
    shown = rows(page)
    assert shown["letter.png"]["code"] == "not_an_image"
    assert shown["empty.png"]["code"] == "empty_file"


def test_a_search_leaves_no_trace_in_the_address(page):
    page.goto("/")
    page.get_by_label("Patient or accession number").fill("PHANTOM-001")
    page.get_by_role("button", name="Search").click()
    page.wait_for_load_state()
    assert "PHANTOM" not in page.url
    assert "PHANTOM-001" in page.locator("[data-worklist]").inner_text()


@pytest.mark.shared_data
def test_real_pictures_with_their_manifest(page, shared_data):
    originals = shared_data / "originals"
    named = list(csv.DictReader((originals / "manifest.csv").open()))
    film = shared_data / "dicom" / "RG1_J2KI.dcm"
    page.goto("/upload/")
    # The manifest counts days: the page asks for day 0 before it sends.
    drop(page, [*sorted(originals.iterdir()), film])
    page.get_by_label("Day 0 of the manifest").fill("2026-03-01")
    page.get_by_role("button", name="Upload 39 files").click()
    names = [*(row["image"] for row in named), film.name]
    wait_for(lambda: settled(page, names), "every result", seconds=400)
    shown = rows(page)
    for row in named:
        assert shown[row["image"]]["patient"] == row["patient"]
        assert shown[row["image"]]["href"], shown[row["image"]]
    assert shown["ieee-253-00.jpg"]["date"] == "2026-03-06"
    assert shown["nih-00000061_012.png"]["date"] == "undated"
    page.goto(shown["ieee-253-04.jpg"]["href"])
    if page.locator("[data-heatmap]").count():
        read_scan(page)
    page.locator(".patient-head a").click()
    page.wait_for_url("**/patients/**")
    dates = [text[:10] for text in page.locator(".timeline tbody td:nth-child(2)").all_inner_texts()]
    assert dates == ["2026-03-06", "2026-03-08", "2026-03-10", "2026-03-13", "2026-03-22"]
