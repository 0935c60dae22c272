"""How soon a 2,000 x 2,000 16-bit image is on the screen after its page: `benchmarks/first_image.py`.

Starts an instance of its own on a temporary data folder, or uses the one at `--url` with `--password`;
uploads two simulated images of that size and opens them in Chromium by turns. Prints one JSON object of
medians and 95th percentiles in milliseconds, counted from the last byte of the page: `preview` (the smaller
image has arrived), `pixels` (all grey levels have), `shown` (they are drawn); besides, what the page itself
took and the time to the first byte of the pixels. `first` is with an empty cache, `next` with the viewer's
script in it and no image, `again` with the image too. Needs `requirements-dev.txt`, and Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from upload_to_result import Client, own_instance  # noqa: E402

from classifier.phantom.files import PNG_KEY, PNG_MARK  # noqa: E402
from classifier.phantom.render import render  # noqa: E402

SIDE, ROUNDS, LIMIT_MS = 2000, 10, 300
LONGEST_MS = 20_000
VIEW = {"width": 1366, "height": 768}
TIMES = """() => {
    const [page] = performance.getEntriesByType("navigation");
    const [mark] = performance.getEntriesByName("hilum:shown");
    if (!mark) return null;
    const of = (part) => performance.getEntriesByType("resource").find(({ name }) => name.includes(part));
    const [preview, pixels, script] = [of("/preview/"), of("/pixels/"), of("dist/scan")];
    const after = (time) => time - page.responseEnd;
    return {
        page: page.responseEnd - page.requestStart, script: after(script.responseEnd), preview: after(preview.responseEnd),
        pixels: after(pixels.responseEnd), pixels_first_byte: pixels.responseStart - pixels.requestStart,
        shown: after(mark.startTime),
    };
}"""  # noqa: E501


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="of a running instance (default: start one)")
    parser.add_argument("--password", default=os.environ.get("HILUM_DEMO_PASSWORD", "first-image"))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hilum-benchmark-")))
        url = asked.url or stack.enter_context(own_instance(folder, asked.password))
        client = Client(url)
        client.sign_in("clinician", asked.password)
        scans = [client.time_one(image(seed), f"{seed}.png").upload_id for seed in (1, 2)]
        figures = measured(url, scans, asked.password, asked.rounds)
    print(json.dumps({"side": SIDE, "limit_ms": LIMIT_MS, "rounds": asked.rounds, **figures}, indent=2))


def image(seed: int) -> bytes:
    """A simulated radiograph as a square 16-bit PNG that is marked as one, and is new each time."""
    phantom = render(seed=seed, size=SIDE + 300)
    square = np.pad(phantom.pixels, ((0, 0), (0, max(0, SIDE - phantom.pixels.shape[1]))))[:SIDE, :SIDE]
    marks, out = PngInfo(), io.BytesIO()
    marks.add_text(PNG_KEY, PNG_MARK)
    marks.add_text("Comment", str(time.time_ns()))
    Image.fromarray(square << 4).save(out, "PNG", pnginfo=marks)
    return out.getvalue()


def measured(url: str, scans: list[str], password: str, rounds: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    found: dict[str, list[dict[str, float]]] = {"first": [], "next": [], "again": []}
    with sync_playwright() as playwright:
        path = os.environ.get("HILUM_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        signed_in = browser.new_context(base_url=url, viewport=VIEW)
        page = signed_in.new_page()
        page.goto("/sign-in/")
        page.get_by_label("Username").fill("clinician")
        page.get_by_label("Password").fill(password)
        with page.expect_navigation():
            page.get_by_role("button", name="Sign in").click()
        for turn in range(rounds + 1):
            context = browser.new_context(
                base_url=url, viewport=VIEW, storage_state=signed_in.storage_state()
            )
            page = context.new_page()
            for kind, scan in (("first", scans[0]), ("next", scans[1]), ("again", scans[0])):
                times = opened(page, scan)
                if turn:  # the very first is the server's warming up
                    found[kind].append(times)
            context.close()
        browser.close()
    return {kind: summary(times) for kind, times in found.items()}


def opened(page: Any, scan: str) -> dict[str, float]:
    page.goto(f"/scans/{scan}/")
    for _ in range(LONGEST_MS // 50):
        if times := page.evaluate(TIMES):
            return times
        page.wait_for_timeout(50)
    sys.exit("the image was not shown")


def summary(times: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    columns = {name: [one[name] for one in times] for name in times[0]}
    return {
        name: {
            "p50": round(statistics.median(values)),
            "p95": round(statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]),
        }
        for name, values in columns.items()
    }


if __name__ == "__main__":
    main()
