"""Measurements, marks, key images and undo in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.flows.driving import opened, press, read_out, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]


def place_of(page, x: float, y: float) -> tuple[float, float]:
    """A point of the first pane, by shares of its width and height."""
    box = page.locator("[data-viewport]").first.bounding_box()
    return box["x"] + box["width"] * x, box["y"] + box["height"] * y


def drag(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*place_of(page, *start))
    page.mouse.down()
    page.mouse.move(*place_of(page, *end), steps=4)
    page.mouse.up()


def labels_of(page) -> list[str]:
    return page.locator(".marks text").all_text_contents()


def saved(page, number: int) -> None:
    rows = page.locator("[data-marks-list] li")
    wait_for(
        lambda: rows.count() == number and page.locator("[data-marks-list] time").count() == number,
        f"{number} saved marks",
    )


@pytest.fixture
def unmarked(page, scans) -> Iterator[str]:
    """The first scan; its marks are deleted again."""
    yield scans[0]
    token = page.locator("meta[name=csrf-token]").get_attribute("content")
    headers = {"X-CSRFToken": token, "Referer": page.url}
    for mark in page.request.get(f"/scans/{scans[0]}/marks/").json()["marks"]:
        assert page.request.delete(f"/marks/{mark['id']}/", headers=headers).ok


def test_a_length_is_measured_by_keyboard_and_by_drag_in_millimetres(page, unmarked):
    opened(page, f"/scans/{unmarked}/")
    stated = page.locator("[data-announce]")
    press(page, "d")
    page.locator("[data-viewer]").focus()
    press(page, "Enter", "Enter", "Enter")
    wait_for(
        lambda: re.match(r"Length \d+\.\d mm at the detector", stated.inner_text()), "the length in words"
    )
    by_keys = float(stated.inner_text().split()[1])
    drag(page, (0.4, 0.7), (0.6, 0.7))
    by_drag = lambda: float(labels_of(page)[1].split()[0])  # noqa: E731
    wait_for(lambda: len(labels_of(page)) == 2 and abs(by_drag() / by_keys - 1) < 0.02, "both lengths, alike")
    assert all("mm at the detector" in text for text in labels_of(page))
    saved(page, 2)
    press(page, "Delete")
    saved(page, 1)
    press(page, "Delete")
    wait_for(lambda: not labels_of(page), "both to go")


def test_marks_of_every_kind_are_saved_and_shown_on_reopening_with_their_author(page, unmarked):
    opened(page, f"/scans/{unmarked}/")
    press(page, "d")
    drag(page, (0.3, 0.2), (0.5, 0.2))
    press(page, "a")
    drag(page, (0.7, 0.2), (0.75, 0.3))
    page.mouse.click(*place_of(page, 0.85, 0.25))
    press(page, "B")
    drag(page, (0.3, 0.4), (0.4, 0.5))
    press(page, "E")
    drag(page, (0.6, 0.4), (0.7, 0.55))
    press(page, "P")
    page.mouse.click(*place_of(page, 0.5, 0.5))
    press(page, "C")
    drag(page, (0.4, 0.65), (0.62, 0.65))
    assert "inner width of the thorax" in page.locator("[data-announce]").inner_text()
    drag(page, (0.28, 0.75), (0.78, 0.75))
    press(page, "A")
    drag(page, (0.35, 0.3), (0.25, 0.25))
    page.get_by_label("Text", exact=True).fill("small node")
    press(page, "Enter")
    saved(page, 7)
    drawn = labels_of(page)
    opened(page, f"/scans/{unmarked}/")
    assert labels_of(page) == drawn
    wanted = [r"\d+\.\d mm at the detector", r"\d+\.\d°", *[r"mean .*, SD .*min .*, max .*"] * 2, r"\d+"]
    wanted += [r"Ratio 0\.4\dheart \d+\.\d mm at the detectorthorax .*", "small node"]
    assert all(re.fullmatch(f"{text}– clinician", line) for text, line in zip(wanted, drawn, strict=True)), (
        drawn
    )
    assert "Cardiothoracic ratio" in page.request.get(f"/scans/{unmarked}/report/").text()


def test_a_saved_mark_is_moved_and_its_text_edited_as_new_versions(page, unmarked):
    opened(page, f"/scans/{unmarked}/")
    press(page, "d")
    drag(page, (0.3, 0.3), (0.5, 0.3))
    saved(page, 1)
    (first,) = page.request.get(f"/scans/{unmarked}/marks/").json()["marks"]
    drag(page, (0.5, 0.3), (0.6, 0.3))
    marks = lambda: page.request.get(f"/scans/{unmarked}/marks/").json()["marks"]  # noqa: E731
    wait_for(lambda: marks()[0]["id"] != first["id"], "another version")
    assert marks()[0]["values"]["mm"] == pytest.approx(1.5 * first["values"]["mm"], rel=0.02)
    page.get_by_role("button", name="Edit the text of Length").click()
    page.get_by_label("Text", exact=True).fill("aortic knob")
    press(page, "Enter")
    wait_for(lambda: marks()[0]["text"] == "aortic knob", "the text to be saved")
    assert labels_of(page)[0].startswith("aortic knob")
    before = marks()[0]["points"]
    page.get_by_role("button", name="Move the points of Length").click()
    press(page, "ArrowDown", "ArrowDown", "Enter", "Enter")
    wait_for(lambda: marks()[0]["points"][0] != before[0], "the moved point")
    assert marks()[0]["points"][1] == before[1]


def test_a_mark_that_the_server_refuses_states_why_and_is_not_lost(page, unmarked, expected):
    expected.append("409")
    opened(page, f"/scans/{unmarked}/")
    reason = {"detail": "An image has at most 100 marks.", "remedy": "Delete some first.", "code": "conflict"}
    page.route("**/marks/", lambda route: route.fulfill(status=409, json=reason))
    press(page, "d")
    drag(page, (0.3, 0.3), (0.5, 0.3))
    wait_for(
        lambda: page.get_by_text("at most 100 marks. Delete some first.").first.is_visible(), "the reason"
    )
    length = labels_of(page)
    page.unroute("**/marks/")
    opened(page, f"/scans/{unmarked}/")
    assert labels_of(page) == length
    assert page.locator("[data-marks-list] .error-text").inner_text().startswith("An image has at most")
    page.get_by_role("button", name="Save Length again").click()
    saved(page, 1)
    assert not page.locator("[data-marks-list] .error-text").count()
    opened(page, f"/scans/{unmarked}/")
    assert len(labels_of(page)) == 1


def test_a_key_image_opens_its_view_again_and_is_in_the_report(page, scans):
    opened(page, f"/scans/{scans[0]}/")
    start = read_out(page)
    press(page, "Shift+Digit4", "+", "+", "x", "ArrowRight")
    marked = read_out(page)
    press(page, "K")
    rows = page.locator("[data-key-images] li")
    wait_for(lambda: rows.count() == 1, "the key image in the list")
    press(page, "r")
    assert read_out(page) == start
    opened(page, f"/scans/{scans[0]}/")
    page.locator("[data-key-images] .mark-name").click()
    assert read_out(page) == marked
    assert "Key images" in page.request.get(f"/scans/{scans[0]}/report/").text()
    page.get_by_role("button", name="Remove the key image").click()
    wait_for(lambda: not rows.count(), "it to be removed")


def test_the_last_action_is_undone_and_the_preset_is_shown(page, unmarked):
    opened(page, f"/scans/{unmarked}/")
    start, preset = read_out(page), page.locator("[data-presets]")
    press(page, "Shift+Digit4")
    assert preset.input_value() == "bones"
    page.wait_for_timeout(400)
    press(page, "w", "w")
    assert preset.input_value() == "own"
    page.wait_for_timeout(400)
    press(page, "t")
    page.wait_for_timeout(400)
    press(page, "d")
    drag(page, (0.3, 0.3), (0.5, 0.3))
    saved(page, 1)
    press(page, "Control+z")
    wait_for(lambda: not labels_of(page), "the mark to go")
    press(page, "Control+z")
    assert "rotated" not in read_out(page)
    press(page, "Control+z", "Control+z")
    assert (read_out(page), preset.input_value()) == (start, "default")
