"""A reader's session in Chromium, step by step, on a running Hilum: `tools/tour.py FOLDER... --out DIR`.

Uploads each folder, finds the worst study by filter, reads five by keyboard alone, measures, changes the
finding and the explainer, compares with the prior, comments, signs and makes the PDF. Every step is
photographed at two sizes, dark and light. Fails on any complaint of the browser: an error on the console, a
breach of the content policy. Needs `requirements-dev.txt`, and Chromium (HILUM_CHROMIUM).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

SIZES = {"1366": (1366, 768), "1920": (1920, 1080)}
THEMES = ("dark", "light")
READ_BY_KEYS = 5
TABS_AT_MOST = 12
ABNORMAL = ".sign-reading input[name=finding]:not([value=normal])"
SETTLE_MS = 250


class TourFailed(Exception):
    """A step did not do what a reader expects, or the browser complained."""


class Tour:
    """The steps, in order; each leaves its images in `out`. `page` is signed in nowhere yet."""

    def __init__(self, page: Any, out: Path, *, sizes: Iterable[str] = SIZES, themes: Sequence[str] = THEMES):
        self.page, self.out, self.sizes, self.themes = page, out, list(sizes), themes
        self.steps = 0
        self.complaints: list[str] = []
        page.on("console", lambda line: line.type in {"error", "warning"} and self._complain(line.text))
        page.on("pageerror", lambda error: self._complain(str(error)))
        out.mkdir(parents=True, exist_ok=True)

    def run(self, folders: Iterable[Path], *, user: str, password: str) -> None:
        self.sign_in(user, password)
        for folder in folders:
            self.upload(folder)
        self.find_the_worst()
        self.measure()
        self.change_the_map()
        self.read_by_keyboard()
        self.compare()
        self.report()
        self.look_round()
        if self.complaints:
            raise TourFailed("the browser complained:\n" + "\n".join(self.complaints))

    def sign_in(self, user: str, password: str) -> None:
        self.page.goto("/sign-in/")
        self.photograph("sign-in")
        self.page.get_by_label("Username").fill(user)
        self.page.get_by_label("Password").fill(password)
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Sign in").click()

    def upload(self, folder: Path) -> None:
        page = self.page
        page.goto("/upload/")
        page.locator("#folder").set_input_files(str(folder))
        rows = page.locator(".upload-row")
        self.wait(lambda: rows.count() and page.locator("[data-tally]").inner_text(), "a row for each file")
        page.wait_for_timeout(1000)  # whose each file is, is looked up
        if page.locator("[data-start]").is_visible():
            self.photograph("upload, before it is sent")
            page.locator("[data-start]").click()
        self.wait(self._uploaded, "every file's result", seconds=900)
        self.photograph("upload, with its results")

    def _uploaded(self) -> bool:
        busy = ".upload-row .dot.busy, .upload-row [data-bar]:not([hidden])"
        waiting = self.page.locator(".upload-row").filter(has_text="waiting to upload").count()
        return not (self.page.locator(busy).count() or waiting)

    def find_the_worst(self) -> None:
        page = self.page
        page.goto("/")
        self.photograph("worklist")
        finding = page.locator("#finding, [name=finding]").first
        offered = [o.get_attribute("value") for o in finding.locator("option").all()]
        abnormal = [value for value in offered if value and value != "normal"]
        for choice, value in ((finding, abnormal[-1]), (page.locator("select[name=sort]"), "worst")):
            with page.expect_navigation():
                choice.select_option(value)
        self.press("j")
        self.photograph("worklist, the worst first")
        self.press("Enter")
        self.shown()
        self.photograph("scan")

    def measure(self) -> None:
        self.press("d")
        self.page.locator("[data-viewer]").first.focus()
        self.press("Enter", "Enter", *["Shift+ArrowRight"] * 3, "Enter")
        self.wait(
            lambda: self.page.locator("[data-announce]").inner_text().startswith("Length"), "the length"
        )
        self.photograph("measured")
        self.press("Delete", "v")

    def change_the_map(self) -> None:
        page = self.page
        self.press("o")
        self.photograph("map as outlines")
        self.press("o", "c")
        self.photograph("map of the next finding")
        self.press("e")
        page.keyboard.press("ArrowDown")
        relative = page.locator("[data-read-out]").first
        self.wait(lambda: "relative" in relative.inner_text(), "another explainer's map", seconds=300)
        self.photograph("map by another explainer")
        page.locator("[data-method]").select_option("gradcam")
        page.locator("[data-viewer]").first.focus()

    def read_by_keyboard(self) -> None:
        """Sign the five worst with nothing but keys; the list is that of the filter."""
        page = self.page
        self.press("u")
        page.wait_for_url(lambda url: "/scans/" not in url)
        page.wait_for_load_state()  # keys pressed before the scripts run are lost
        self.press("j", "Enter")
        for number in range(READ_BY_KEYS):
            self.shown()
            self.press("R")
            self._tab_to(ABNORMAL)
            self.press(" ")
            self._tab_to("textarea")
            page.keyboard.type(f"Read by keyboard, case {number + 1}.")
            self._tab_to("button.primary")
            if number == 0:
                self.photograph("my reading")
            self.press("Enter")
            self.wait(lambda: page.get_by_text("Reading signed.").count(), "the signature")
            if "/scans/" not in page.url:
                break  # it was the last of the list
            self.shown()
            if number == 0:
                self.photograph("signed")
            if number + 1 == READ_BY_KEYS or not page.locator("[rel=next]").count():
                break
            self.next_case()

    def _tab_to(self, selector: str) -> None:
        for _ in range(TABS_AT_MOST):
            if self.page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
            self.press("Tab")
        raise TourFailed(f"Tab does not reach {selector}")

    def compare(self) -> None:
        """Go by keys to a scan with a prior, and compare them."""
        page = self.page
        page.goto("/")
        with page.expect_navigation():
            page.get_by_role("button", name="Clear").click()
        self.press("j", "Enter")
        self.shown()
        while not page.locator("[data-compare]").count():
            if not page.locator("[rel=next]").count():
                raise TourFailed("no scan has a prior")
            self.next_case()
            self.shown()
        self.photograph("scan with priors")
        self.press("b")
        page.wait_for_url("**/compare/**")
        self.shown()
        self.press("+", "+")
        self.photograph("compared with its prior")
        self.press("b")
        self.wait(lambda: "/compare/" not in page.url, "the scan alone")
        self.shown()

    def report(self) -> None:
        page = self.page
        address = page.url
        page.locator(".my-reading details.menu summary").click()
        with page.expect_download() as downloaded:
            page.get_by_role("link", name="PDF").click()
        downloaded.value.save_as(self.out / "report.pdf")
        page.goto(f"{address}report/")
        self.photograph("report")
        page.goto(address)
        self.shown()

    def look_round(self) -> None:
        page = self.page
        self.press("?")
        self.photograph("keys")
        self.press("Escape")
        patient = page.locator(".patient-head a").get_attribute("href")
        for name, address in {"patient": patient, "models": "/models/", "phantoms": "/phantoms/"}.items():
            page.goto(address)
            self.photograph(name)
        page.goto("/models/")
        with page.expect_navigation():
            page.locator("main a[href^='/models/']").first.click()
        self.photograph("model card")

    # --- Steps are made of these --------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def next_case(self) -> None:
        here = self.page.url
        self.press("j")
        self.wait(lambda: self.page.url != here, "the next case")

    def shown(self) -> None:
        self.wait(lambda: self.page.locator("[data-scan][data-shown]").count(), "the full image")
        self.wait(
            lambda: self.page.locator("[data-evidence]").get_attribute("data-pending") == "0", "the result"
        )

    def wait(self, look: Callable[[], object], what: str, *, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not look():
            if time.monotonic() > end:
                raise TourFailed(f"waited {seconds:.0f} s for {what} at {self.page.url}")
            self.page.wait_for_timeout(100)

    def photograph(self, name: str) -> None:
        self.steps += 1
        for size in self.sizes:
            width, height = SIZES[size]
            self.page.set_viewport_size({"width": width, "height": height})
            for theme in self.themes:
                self.page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
                self.page.wait_for_timeout(SETTLE_MS)
                slug = name.replace(",", "").replace(" ", "-")
                self.page.screenshot(path=self.out / f"{self.steps:02}-{slug}-{size}-{theme}.png")
        self.page.evaluate("document.documentElement.dataset.theme = 'dark'")

    def _complain(self, text: str) -> None:
        self.complaints.append(f"{self.page.url}: {text}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--user", default="clinician")
    asked = parser.parse_args()
    password = os.environ.get("HILUM_DEMO_PASSWORD")
    chromium = os.environ.get("HILUM_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not (password and chromium):
        print("Set HILUM_DEMO_PASSWORD to the reader's password, and HILUM_CHROMIUM.", file=sys.stderr)
        return 2
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tour = Tour(browser.new_page(base_url=asked.url), asked.out)
        try:
            tour.run(asked.folders, user=asked.user, password=password)
        except TourFailed as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{tour.steps} steps in {asked.out}")
        return 0


if __name__ == "__main__":
    sys.exit(main())
