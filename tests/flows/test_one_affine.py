"""Image and heatmap are drawn by one affine, whatever a person does with keys, mouse, window and screen."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from tests.flows.conftest import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
ADDRESS = "http://viewer.test"
HEATMAP = """<section data-heatmap data-explain="" data-explain-other="">
<select data-finding><option value="one">one</option></select>
<select data-colours><option>inferno</option><option>cividis</option></select>
<select data-method><option>gradcam</option></select><div data-explanation></div>
<input type=range min=0 max=1 step=.05 data-opacity><output data-opacity-value></output>
<input type=range min=0 max=.95 step=.05 data-threshold><output data-threshold-value></output>
<input type=checkbox data-outlines><canvas data-legend width=256 height=8></canvas>
<span data-half></span><span data-strongest></span><span data-framed></span>
<span data-saturated></span></section>"""
PRESETS = "".join(
    f"<option value={name}>{name}</option>"
    for name in ("default", "full-range", "lungs", "bones", "contrast", "own")
)


def described(name: str, rows: int, columns: int, spacing: tuple[float, float]) -> dict:
    """An image as webapp/pages/scan/images.py describes it to the viewer."""
    window = {"windowCenter": 32768, "windowWidth": 65536, "slope": 1, "intercept": 0}
    size = {"rows": rows, "columns": columns, "spacing": spacing, "spacingAt": "detector"}
    return {"id": name, "modality": "DX", "pixels": f"/{name}.pixels", **size, **window}


# Spacing is (row, column) in millimetres.
ONE = [described("square", 120, 160, (0.2, 0.2))]
TWO = [described("high", 100, 180, (0.4, 0.2)), described("wide", 160, 100, (0.2, 0.4))]


def page_of(images: list[dict]) -> str:
    figures = "".join(
        "<figure class=pane data-viewer tabindex=0><img data-preview><div class=viewport data-viewport></div>"
        "<p data-read-out></p></figure>"
        for _ in images
    )
    cams = "".join(
        f"<script type=application/json id={name}>{json.dumps(cam)}</script>"
        for name, cam in zip(("cam", "cam-other"), map(cam_of, images), strict=False)
    )
    marks = [{"url": "/marks/", "may": False, "marks": [], "keyUrl": "/keys/", "keyImages": []}] * len(images)
    return f"""<!doctype html><html lang=en><meta charset=utf-8><link rel=icon href=data:,>
<link rel=stylesheet href=/static/css/scan.css><body><div data-scan data-state=/state/>
<section class="stage{" two" if len(images) == 2 else ""}" data-stage
style="width:900px;height:500px">{figures}
<p data-no-image hidden></p><div class=tools><select data-presets>{PRESETS}</select></div>
<p data-announce></p></section><aside data-evidence data-pending=0>{HEATMAP}{cams}</aside>
<section data-marks-list><ol></ol></section>
<section data-key-images><p data-key-error></p><ol></ol></section><dialog data-mark-text><input></dialog>
<script type=application/json id=marks>{json.dumps(marks)}</script>
<script type=application/json id=images>{json.dumps(images)}</script></div>
<script type=module src=/static/dist/scan.js></script>"""


def cam_of(image: dict) -> dict:
    """A map of 4 x 4 cells over the whole image."""
    across, down = image["columns"] / 4, image["rows"] / 4
    affine = [across, 0, across / 2 - 0.5, 0, down, down / 2 - 0.5]
    return {"affine": affine, "grids": {"one": [[1, 2, 1, 2]] * 4}, "scale": 2, "inside_lungs": None}


@pytest.fixture
def viewer(chromium) -> Iterator[object]:
    """Opens the viewer alone, without a server, with the images that are given."""
    context = chromium.new_context(viewport={"width": 1366, "height": 768}, base_url=ADDRESS)
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.add_init_script((ROOT / "tests/flows/one_affine.js").read_text())

    def opened(images: list[dict]):
        sizes = {image["pixels"]: image["rows"] * image["columns"] for image in images}

        def respond(route) -> None:
            path = route.request.url.removeprefix(ADDRESS).partition("?")[0]
            if path.startswith("/static/"):
                route.fulfill(path=ROOT / path.lstrip("/"))
            elif path in sizes:
                route.fulfill(body=np.linspace(0, 65535, sizes[path]).astype("<u2").tobytes())
            else:
                route.fulfill(body=page_of(images) if path == "/" else "{}", content_type="text/html")

        page.route("**/*", respond)
        page.goto("/")
        page.wait_for_selector("[data-shown]", state="attached", timeout=12_000)
        return page

    yield opened
    context.close()
    assert complaints == []


@pytest.mark.parametrize("images", [ONE, TWO], ids=["one image", "two images of non-square pixels"])
@pytest.mark.parametrize(
    "count", [pytest.param(100, id="quick"), pytest.param(1000, id="long", marks=pytest.mark.slow)]
)
def test_image_and_heatmap_share_one_affine_after_any_sequence(viewer, images, count):
    tried = viewer(images).evaluate(f"tryViewer(1, {count})")
    assert not tried["failures"], "\n".join(tried["failures"])
    assert tried["compared"] > count / 4, tried  # else the heatmap was mostly off, or off-screen
