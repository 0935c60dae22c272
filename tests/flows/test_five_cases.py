"""Five normal cases in a row by keyboard: how many keystrokes they take, and how long the reader waits."""

from __future__ import annotations

import os
import time

import pytest

from tests.flows.driving import upload

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

CASES, MOST_KEYSTROKES, MOST_SECONDS = 5, 20, 4.0
READY = (
    "() => document.querySelector('[data-scan][data-shown]') && document.querySelector('[data-reading-form]')"
)


def test_five_normal_cases_take_few_keystrokes_and_little_time(page, tmp_path, capsys):
    from classifier.phantom.collection import write_collection

    write_collection(tmp_path, patients=3, seed=47, size=384)
    films = sorted(tmp_path.glob("*.dcm"))[:CASES]
    assert len(films) == CASES
    for film in films:
        upload(page, film)
    idle = os.getloadavg()[0] < (os.cpu_count() or 1)
    page.goto("/")
    keystrokes, waited = 0, 0.0

    def press(key: str) -> None:
        nonlocal keystrokes
        page.keyboard.press(key)
        keystrokes += len(key.split("+"))

    def timed(key: str, wanted: str) -> None:
        """Press the key, and count the time until the page is as wanted."""
        nonlocal waited
        begin = time.monotonic()
        press(key)
        page.wait_for_url(wanted)
        page.wait_for_function(READY)
        waited += time.monotonic() - begin

    press("j")
    timed("Enter", "**/scans/*/")
    read = set()
    for _case in range(CASES):
        here = page.url
        read.add(here)
        press("1")
        assert page.locator("[name=finding][value=normal]").is_checked()
        begin = time.monotonic()
        press("Control+Enter")
        page.wait_for_url(lambda url, here=here: url != here)
        if len(read) < CASES:
            page.wait_for_function(READY)
        waited += time.monotonic() - begin
    assert len(read) == CASES
    with capsys.disabled():
        print(f"\n{CASES} normal cases: {keystrokes} keystrokes, {waited:.2f} s of machine time")
    assert keystrokes <= MOST_KEYSTROKES
    # On a busy machine the time is not that of a reader.
    assert waited <= MOST_SECONDS or not idle
