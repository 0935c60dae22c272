"""The viewer in a real browser: what is drawn and measured, by keys, and whether everybody can use it."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from tests.flows.conftest import ROOT
from tests.flows.driving import image_now, opened, press, read_out, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]


def layer_of(page) -> np.ndarray:
    """The heatmap's layer (H, W, 4) as it lies over the image."""
    url = page.evaluate("document.querySelector('canvas.heat').toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGBA"))


def test_the_heatmap_is_the_one_that_the_command_line_draws(page, films, scans, tmp_path):
    opened(page, f"/scans/{scans[1]}/")
    page.get_by_label("Finding", exact=True).select_option("opacity")
    page.get_by_label("Map opacity").fill("0.6")
    press(page, "0")
    wait_for(lambda: "zoom 1.00" in read_out(page), "actual pixels")
    preview = np.asarray(Image.open(io.BytesIO(page.request.get(f"/media/{scans[1]}/preview/").body())))
    rows, columns = preview.shape
    drawn = tmp_path / "explained.png"
    command = [sys.executable, "-m", "classifier", "explain", str(films[1]), "--method", "gradcam"]
    command += ["--finding", "opacity", "--opacity", "0.6", "--out", str(drawn)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    expected = np.asarray(Image.open(drawn).convert("RGB"))[:rows].astype(float)
    assert np.abs(expected - preview[..., None]).max() > 50

    layer = layer_of(page).astype(float)
    top, left = ((whole - part) // 2 for whole, part in zip(layer.shape, preview.shape, strict=False))
    farthest = []
    for y, x in [(y, x) for y in (0, 1) for x in (0, 1)]:
        part = layer[top + y : top + y + rows, left + x : left + x + columns]
        alpha = part[..., 3:] / 255
        seen = (1 - alpha) * preview[..., None] + alpha * part[..., :3]
        farthest.append(np.abs(seen - expected).max())
    assert min(farthest) <= 2, farthest


LONGEST_NOTICE = (
    "Outside the origins of its training data, it reported a finding on 26 % of normal images (nih); it "
    "detected 56 % of images with a finding (nih)."
)


@pytest.mark.parametrize("width", [1366, 1920])
def test_result_form_and_sign_buttons_are_in_view_without_scrolling(page, scans, width):
    page.set_viewport_size({"width": width, "height": 768})
    opened(page, f"/scans/{scans[0]}/")
    # The X-ray model's notice is longer than the phantoms', and an image may have two warnings.
    page.locator(".evidence .notice").evaluate(
        "(notice, text) => { notice.textContent = text; }", LONGEST_NOTICE
    )
    page.locator(".result").evaluate(
        "(result) => { for (const text of ['One warning.', 'Another warning.'])"
        " result.append(Object.assign(document.createElement('p'), { textContent: text })); }"
    )
    bottom = page.locator(".steps").bounding_box()["y"]
    form = page.locator("[data-reading-form]")
    for part in (
        page.locator(".headline"),
        page.locator(".evidence .notice"),
        form.get_by_label("Impression"),
        form.get_by_role("button", name="Sign and next"),
        form.get_by_role("button", name="Sign", exact=True),
    ):
        box = part.bounding_box()
        assert box["y"] >= 48
        assert box["y"] + box["height"] <= bottom, part
    assert page.locator(".evidence").evaluate("(panel) => panel.scrollTop") == 0


def test_signed_readings_are_in_view_without_scrolling(page, scans):
    opened(page, f"/scans/{scans[0]}/")
    press(page, "1")
    page.get_by_label("Impression").fill("No change.")
    with page.expect_navigation():
        page.get_by_role("button", name="Sign", exact=True).click()
    wait_for(lambda: page.locator("[data-scan][data-shown]").count(), "the full image")
    box = page.locator("article.signed").last.bounding_box()
    assert box["y"] + box["height"] <= page.locator(".steps").bounding_box()["y"]


def test_everything_is_done_by_keys(page, scans):
    opened(page, f"/scans/{scans[0]}/")
    start = read_out(page)
    assert re.fullmatch(r"W \d+ L -?\d+ +zoom \d\.\d\d", start)
    for keys, stated in (
        ("t", "rotated 90°"),
        ("T", ""),
        ("x", "flipped horizontally"),
        ("y", "flipped vertically"),
        ("i", "inverted"),
    ):
        press(page, keys)
        wait_for(lambda stated=stated: stated in read_out(page), stated or "as before")
    press(page, "+", "ArrowLeft", "w", "Shift+Digit3", "r")
    wait_for(lambda: read_out(page) == start, "all as at the start")
    for key, other in (("h", "h"), ("o", "o"), ("q", "q"), ("}", "{"), ("g", "v")):
        before = image_now(page)
        press(page, key)
        if key != "g":
            wait_for(lambda before=before: image_now(page) != before, f"{key} to be seen")
        press(page, other)
    press(page, "?")
    assert page.get_by_role("dialog").get_by_text("full screen").is_visible()
    press(page, "Escape")
    for button in page.locator(".tools button").all():
        assert re.search(r"\(.+\)", button.get_attribute("title"))
        assert button.get_attribute("aria-label")


def test_two_images_move_together_until_they_are_unlinked(page, scans):
    opened(page, f"/scans/{scans[1]}/")
    press(page, "b")
    page.wait_for_url("**/compare/**")
    wait_for(lambda: page.locator("[data-scan][data-shown]").count(), "both images")
    wait_for(lambda: "W " in read_out(page, 0) and "W " in read_out(page, 1), "both windows")

    def widths() -> list[int]:
        return [int(re.search(r"W (\d+)", read_out(page, at))[1]) for at in (0, 1)]

    filed = widths()
    press(page, "t", "w", "x")
    wait_for(lambda: "flipped horizontally" in read_out(page, 1), "the other one to follow")
    assert all("rotated 90°" in read_out(page, at) for at in (0, 1))
    # Images of other depths move by the same share of their own window.
    shares = [now / before for now, before in zip(widths(), filed, strict=True)]
    assert shares[0] == pytest.approx(shares[1], rel=0.01) != 1
    press(page, "n", "i")
    wait_for(lambda: "inverted" in read_out(page, 0), "the inversion")
    assert "inverted" not in read_out(page, 1)
    assert page.locator("canvas.heat").count() == 2
    press(page, "b")
    page.wait_for_url(f"**/scans/{scans[1]}/")


@pytest.mark.parametrize(("size", "least"), [((1366, 768), 460), ((1920, 1080), 620)])
def test_both_images_of_a_comparison_are_shown_whole_in_wide_panes(page, scans, size, least):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    opened(page, f"/scans/{scans[1]}/compare/{scans[0]}/")
    filled = []
    for at in (0, 1):
        box = page.locator("[data-viewport]").nth(at).bounding_box()
        assert box["width"] >= least
        assert box["x"] + box["width"] <= size[0] + 0.5
        sides = re.search(r"(\d+) × (\d+)", page.locator(".read-out.right").nth(at).inner_text())
        zoom = float(re.search(r"zoom (\S+)", read_out(page, at))[1])
        shares = [int(sides[1]) * zoom / box["width"], int(sides[2]) * zoom / box["height"]]
        assert max(shares) < 1.02
        filled.append(max(shares))
    assert max(filled) > 0.97  # at one scale in millimetres, the larger one fills its pane


def test_the_side_panels_close_and_open_and_stay_so(page, scans):
    opened(page, f"/scans/{scans[0]}/")
    wide = lambda: page.locator("[data-viewport]").bounding_box()["width"]  # noqa: E731
    start = wide()
    press(page, ",", ".")
    wait_for(lambda: wide() > start + 500, "the image to take the space")
    opened(page, f"/scans/{scans[0]}/")
    assert wide() > start + 500
    press(page, "R")  # the form is in the closed panel
    assert page.locator(".evidence").is_visible()
    press(page, ",")
    wait_for(lambda: wide() == start, "both panels")


def test_full_screen_keeps_patient_date_and_result_in_view(page, scans):
    opened(page, f"/scans/{scans[1]}/")
    headline = page.locator(".headline").inner_text()
    patient = page.locator(".patient-head h1").inner_text()
    press(page, "s")
    line = page.locator(".case-line")
    wait_for(lambda: line.is_visible(), "the line under the image")
    assert patient in line.inner_text()
    assert headline in line.inner_text()
    assert re.search(r"\d{4}-\d\d-\d\d", line.inner_text())
    box, stage = line.bounding_box(), page.locator("[data-stage]").bounding_box()
    assert box["y"] + box["height"] <= stage["y"] + stage["height"]
    press(page, "s")
    wait_for(lambda: not line.is_visible(), "the panels again")


def test_side_letters_follow_rotation_and_flips(page, scans):
    opened(page, f"/scans/{scans[0]}/")

    def letters() -> str:
        return "".join(
            page.locator(f".side-{edge}").inner_text() for edge in ("left", "top", "right", "bottom")
        )

    assert letters() == "RHLF"
    press(page, "x")
    wait_for(lambda: letters() == "LHRF", "the flipped letters")
    press(page, "x", "t")
    wait_for(lambda: letters() == "FRHL", "the rotated letters")


def test_an_image_that_does_not_come_leaves_the_preview_and_states_so(page, scans, expected):
    expected.append("ERR_FAILED")
    page.route("**/pixels/", lambda route: route.abort())
    page.goto(f"/scans/{scans[0]}/")
    wait_for(
        lambda: page.get_by_text("full-resolution image could not be loaded").is_visible(), "the message"
    )
    assert page.locator("[data-preview]").is_visible()
    assert not page.locator("canvas.cornerstone-canvas").count()
    press(page, "f", "t", "Shift+Digit1", "ArrowLeft", "+", "d", "Enter")


def test_a_heatmap_that_is_off_stays_off_on_the_next_scan(page, scans):
    def shown(scan) -> None:
        page.goto(f"/scans/{scan}/")
        wait_for(lambda: page.locator("[data-scan][data-shown]").count(), "the image")
        wait_for(lambda: page.locator("[data-heatmap]").count(), "the heatmap's controls")

    shown(scans[0])
    is_drawn = lambda: layer_of(page)[..., 3].any()  # noqa: E731
    wait_for(is_drawn, "the heatmap")
    with page.expect_response("**/preferences/"):
        press(page, "h")
    shown(scans[1])
    assert not is_drawn()
    with page.expect_response("**/preferences/"):
        press(page, "h")
    wait_for(is_drawn, "the heatmap again")


@pytest.fixture
def tablet(page, chromium, hilum) -> Iterator[object]:
    """The same reader at a touch screen of two pixels a CSS pixel."""
    screen = {"viewport": {"width": 820, "height": 1180}, "device_scale_factor": 2, "has_touch": True}
    context = chromium.new_context(base_url=hilum.url, storage_state=page.context.storage_state(), **screen)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("width", [768, 820])
def test_the_worklist_fits_a_tablet_held_upright(tablet, scans, width):
    tablet.set_viewport_size({"width": width, "height": 1024})
    tablet.goto("/")
    over = "(part) => document.querySelector(part).scrollWidth - document.querySelector(part).clientWidth"
    assert [tablet.evaluate(over, part) for part in ("html", ".bar", ".scroll")] == [0, 0, 0]
    shown = [text.split("\n")[0] for text in tablet.locator(".worklist th:visible").all_inner_texts()]
    assert {"Patient", "Study", "Finding", "Received"} <= set(shown)


def test_a_tablet_shows_the_whole_image_and_takes_two_fingers(tablet, scans):
    opened(tablet, f"/scans/{scans[1]}/")
    press(tablet, "h")
    start = image_now(tablet)
    press(tablet, "f")
    assert image_now(tablet) == start
    box = tablet.locator("[data-viewport]").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    fitted = float(read_out(tablet).split()[-1])
    devtools = tablet.context.new_cdp_session(tablet)

    def touch(kind: str, *apart: float) -> None:
        points = [{"x": middle[0] + x, "y": middle[1], "id": n} for n, x in enumerate(apart)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -40, 40)
    for step in range(1, 6):
        touch("touchMove", -40 - 12 * step, 40 + 12 * step)
    touch("touchEnd")
    wait_for(lambda: float(read_out(tablet).split()[-1]) > 1.3 * fitted, "the pinch to enlarge")
    press(tablet, "0")
    wait_for(lambda: read_out(tablet).endswith("zoom 1.00"), "actual pixels")


def test_the_magnifier_follows_the_pointer_while_it_is_pressed(page, scans):
    opened(page, f"/scans/{scans[1]}/")
    press(page, "g")
    box = page.locator("[data-viewport]").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    before = image_now(page)
    page.mouse.down()
    wait_for(lambda: page.locator(".magnifier.visible canvas.heat").count(), "the magnifier")
    wait_for(lambda: image_now(page) != before, "it to show something")
    there = page.locator(".magnifier").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 90, box["y"] + box["height"] / 2, steps=3)
    wait_for(
        lambda: page.locator(".magnifier").bounding_box()["x"] == pytest.approx(there["x"] + 90, abs=2),
        "it to follow",
    )
    page.mouse.up()
    wait_for(lambda: image_now(page) == before, "it to go, and the window as it was")


def test_another_explainers_map_is_made_on_demand_and_called_relative(page, scans):
    opened(page, f"/scans/{scans[1]}/")
    page.get_by_label("Finding", exact=True).select_option("opacity")
    own, method = layer_of(page), page.get_by_label("Method", exact=True)
    method.select_option("layercam")
    wait_for(lambda: "LayerCAM, relative" in read_out(page), "the map to be made", seconds=120)
    assert page.get_by_text("map maximum", exact=True).is_visible()
    assert not page.get_by_text("logits").is_visible()
    wait_for(lambda: (layer_of(page) != own).any(), "another map to be drawn")
    assert layer_of(page)[..., 3].max() > 0
    method.select_option("gradcam")
    wait_for(lambda: (layer_of(page) == own).all(), "the model's own map again")
    assert "relative" not in read_out(page)


def test_a_map_that_could_not_be_made_is_not_drawn_and_states_what_to_do(page, scans):
    opened(page, f"/scans/{scans[0]}/")
    failed = {
        "status": "failed",
        "text": "No EigenCAM heatmap: computation took too long.",
        "remedy": "Try later.",
    }
    page.route("**/explanations/**", lambda route: route.fulfill(json=failed))
    page.get_by_label("Method", exact=True).select_option("eigencam")
    wait_for(lambda: page.get_by_text("computation took too long.").is_visible(), "the reason")
    assert page.get_by_text("Try later.").is_visible()
    assert layer_of(page)[..., 3].max() == 0, "no other map stands in for it"
    page.unroute("**/explanations/**")
    page.get_by_role("button", name="Try again").click()
    wait_for(lambda: "EigenCAM, relative" in read_out(page), "the map", seconds=120)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_bars_anybody_from_the_page(page, scans, node_modules, theme):
    page.context.add_cookies([{"name": "theme", "value": theme, "url": page.url}])
    for address in (f"/scans/{scans[0]}/", f"/scans/{scans[1]}/compare/{scans[0]}/", page.url):
        if "/scans/" in address:
            opened(page, address)
        else:
            page.goto(f"/scans/{scans[0]}/")
            press(page, "?")
        page.evaluate((node_modules / "axe-core" / "axe.min.js").read_text())
        found = page.evaluate("axe.run().then((found) => found.violations)")
        reported = [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in found]
        assert not reported
