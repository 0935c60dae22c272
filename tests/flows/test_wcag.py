"""axe-core finds nothing to complain of on any page, in either theme (WCAG 2.2 AA).

Comes after the other flows, whose simulated patients have the same identifiers.
"""

from __future__ import annotations

import csv

import pytest

from tests.flows.conftest import PASSWORD
from tests.flows.driving import drop, settled, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
THEMES = ("dark", "light")
# Swagger UI's own elements are not ours to mend; what it shows is plain text at the schema's address.
OURS = {"exclude": ["#api"]}
OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


@pytest.fixture
def complaints(node_modules):
    """What axe-core finds on the page as it stands, in both themes, with the elements."""
    program = (node_modules / "axe-core" / "axe.min.js").read_text()
    return lambda page, where: found_on(page, where, program)


def found_on(page, where: str, program: str) -> list[str]:
    found = []
    page.evaluate(program)
    for theme in THEMES:
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        answer = page.evaluate("([place, options]) => axe.run(place, options)", [OURS, OPTIONS])
        for violation in answer["violations"]:
            nodes = [node["html"][:160] for node in violation["nodes"][:3]]
            found.append(f"{where}, {theme}: {violation['id']}: {nodes}")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    return found


@pytest.fixture
def look_at(complaints):
    def look(page, addresses: dict[str, str]) -> list[str]:
        found = []
        for where, address in addresses.items():
            page.goto(address)
            found += complaints(page, where)
        return found

    return look


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
    drop(page, sorted(phantoms.iterdir()))
    wait_for(lambda: settled(page, names), "every result", seconds=400)
    found += complaints(page, "upload with results")
    links = page.locator("[data-patient-link][href]").evaluate_all("(all) => all.map((one) => one.pathname)")

    page.goto("/")
    found += complaints(page, "worklist")
    page.keyboard.press("j")
    page.keyboard.press("x")
    wait_for(lambda: page.locator("[data-chosen]").is_visible(), "the line of chosen studies")
    found += complaints(page, "worklist, a row chosen")
    page.locator("[data-opens=views]").click()
    found += complaints(page, "saved views")
    page.keyboard.press("Escape")
    page.locator("details.more summary").click()
    found += complaints(page, "more filters")
    page.locator("#q").fill("nobody of that name")
    page.locator("#q").press("Enter")
    wait_for(lambda: page.get_by_text("No study matches").is_visible(), "no match")
    found += complaints(page, "worklist without a match")
    page.get_by_role("button", name="Clear").click()

    page.locator("tr[data-href] a").first.click()
    wait_for(lambda: "/scans/" in page.url, "the scan")
    page.locator(".my-reading input[type=checkbox]").first.check()
    page.get_by_label("Comment", exact=True).fill("Nothing to add.")
    page.get_by_role("button", name="Sign", exact=True).click()
    wait_for(lambda: page.get_by_text("Your reading is signed.").is_visible(), "the signature")
    found += complaints(page, "scan")
    scan, patient = page.url, page.locator(".patient-head a").get_attribute("href")
    page.keyboard.press("?")
    found += complaints(page, "help")
    report = f"{scan}report/"
    found += look_at(page, {"report": report, "patient": patient, "models": "/models/", "no page": "/x/"})
    found += look_at(page, {"no permission": f"{patient}merge/", "description": "/api/v1/docs/"})
    page.goto("/models/")
    page.locator("main a[href^='/models/']").first.click()
    found += complaints(page, "model card")

    page.context.clear_cookies()
    found += look_at(page, {"sign in": "/sign-in/"})
    sign_in(page, "admin")
    other = next(link for link in links if link != patient).strip("/").split("/")[-1]
    merging = {"merge": f"{patient}merge/", "merge, to confirm": f"{patient}merge/{other}/"}
    found += look_at(page, {**merging, "models of an admin": "/models/", "scan of an admin": scan})
    page.keyboard.press("m")
    found += complaints(page, "to another patient")
    assert not found, "\n".join(found)
