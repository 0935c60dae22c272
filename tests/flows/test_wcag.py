"""axe-core finds nothing to complain of on any page, in either theme (WCAG 2.2 AA).

Comes after the other flows, whose simulated patients have the same identifiers.
"""

from __future__ import annotations

import csv

import pytest

from tests.flows.conftest import PASSWORD
from tests.flows.driving import settled, upload_with_manifest, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    from classifier.phantom.collection import write_collection

    folder = tmp_path_factory.mktemp("accessible")
    write_collection(folder, patients=2, seed=23, size=384)
    return folder


def sign_in(page, name: str) -> None:
    page.goto("/sign-in/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_every_page_is_accessible_in_both_themes(page, phantoms, expected, complaints, look_at):
    expected += ["404", "403"]
    found = look_at(page, {"upload": "/upload/", "phantoms": "/phantoms/", "open": "/open/"})
    names = [row["image"] for row in csv.DictReader((phantoms / "manifest.csv").open())]
    page.goto("/upload/")
    upload_with_manifest(page, sorted(phantoms.iterdir()))
    wait_for(lambda: settled(page, names), "every result", seconds=400)
    found += complaints(page, "upload with results")
    links = page.locator("[data-patient-link][href]").evaluate_all("(all) => all.map((one) => one.pathname)")

    page.goto("/")
    found += complaints(page, "worklist")
    page.keyboard.press("j")
    page.keyboard.press("x")
    wait_for(lambda: page.locator("[data-selection]").is_visible(), "the line of chosen studies")
    found += complaints(page, "worklist, a row chosen")
    page.locator("[data-open-dialog=views]").click()
    found += complaints(page, "saved views")
    page.keyboard.press("Escape")
    page.locator("details.more summary").click()
    found += complaints(page, "more filters")
    page.locator("#q").fill("nobody of that name")
    page.locator("#q").press("Enter")
    wait_for(lambda: page.get_by_text("No matching studies").is_visible(), "no match")
    found += complaints(page, "worklist without a match")
    page.get_by_role("button", name="Clear").click()

    page.locator("tr[data-href] a").first.click()
    wait_for(lambda: "/scans/" in page.url, "the scan")
    page.locator(".my-reading input[name=finding]").first.check()
    page.get_by_label("Impression").fill("Nothing to add.")
    page.get_by_role("button", name="Sign", exact=True).click()
    wait_for(lambda: page.get_by_text("Reading signed.").is_visible(), "the signature")
    found += complaints(page, "scan")
    scan, patient = page.url, page.locator(".patient-head a").get_attribute("href")
    page.keyboard.press("?")
    found += complaints(page, "help")
    report = f"{scan}report/"
    found += look_at(page, {"report": report, "patient": patient, "models": "/models/", "no page": "/x/"})
    found += look_at(page, {"no permission": f"{patient}merge/", "description": "/api/v1/docs/"})
    page.goto("/models/")
    page.locator("main table a[href^='/models/']").first.click()
    found += complaints(page, "model card")

    page.context.clear_cookies()
    found += look_at(page, {"sign in": "/sign-in/"})
    sign_in(page, "admin")
    other = next(link for link in links if link != patient).strip("/").split("/")[-1]
    merging = {"merge": f"{patient}merge/", "merge, to confirm": f"{patient}merge/{other}/"}
    found += look_at(page, {**merging, "models of an admin": "/models/", "scan of an admin": scan})
    page.keyboard.press("m")
    found += complaints(page, "to another patient")
    found += look_at(
        page,
        {"training": "/training/", "audit log": "/audit/", "promotion policy": "/models/promotion-policy/"},
    )
    assert not found, "\n".join(found)
