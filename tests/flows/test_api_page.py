"""The API's page in a browser: an address opens what it names, a line is copied, the filter narrows; axe."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(400)]

ADDRESS = "/api/v1/docs/"


def shown(page) -> int:
    return page.locator(".api details:visible").count()


def test_an_address_opens_the_operation_that_it_names_and_a_link_its_schema(page):
    page.goto(f"{ADDRESS}#scan_upload")
    operation = page.locator("#scan_upload")
    operation.get_by_role("table", name="Responses").wait_for()
    assert page.locator(".api details[open]").count() == 1
    operation.get_by_role("button", name="Copy").click()
    operation.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == 'curl -sS -H "Authorization: Bearer $TOKEN" -F file=@FILE "$HILUM/api/v1/scans/"'

    operation.get_by_role("link", name="Scan", exact=True).first.click()
    schema = page.locator("#schema-Scan")
    schema.get_by_role("table").wait_for()
    schema.locator("summary").click()
    operation.get_by_role("link", name="Scan", exact=True).first.click()
    schema.get_by_role("table").wait_for()


def test_the_filter_narrows_and_gives_way_to_a_link(page):
    page.goto(ADDRESS)
    every = shown(page)
    page.keyboard.press("/")
    page.keyboard.type("alarm_c")
    assert shown(page) == 2
    page.keyboard.type("!")
    page.get_by_text("No matches.").wait_for()
    page.get_by_role("link", name="Alarms").click()
    assert shown(page) == every


def test_axe_has_nothing_against_it_with_every_operation_open(page, complaints):
    page.goto(ADDRESS)
    page.evaluate("document.querySelectorAll('.api details').forEach((one) => { one.open = true; })")
    found = complaints(page, "every operation open")
    assert not found, "\n".join(found)
    page.set_viewport_size({"width": 768, "height": 900})
    assert page.evaluate("(main) => main.scrollWidth <= main.clientWidth", page.query_selector("main"))
