"""Two readers label three phantoms each, blind; their kappa is shown, and an admin decides where they differ.

Comes after the other flows, whose simulated patients have the same identifiers.
"""

from __future__ import annotations

import csv

import pytest

from tests.flows.conftest import PASSWORD
from tests.flows.driving import settled, upload_with_manifest, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
IMAGES = 3


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    from classifier.phantom.collection import write_collection

    folder = tmp_path_factory.mktemp("to-label")
    write_collection(folder, patients=2, seed=31, size=384)
    return folder


@pytest.fixture
def reader(hilum) -> str:
    """Somebody who has signed nothing: an image whose reading they have signed is not labelled blind."""
    make = "from webapp.accounts.models import User; User.objects.create_user('labeller', password='%s')"
    hilum.manage("shell", "-c", make % PASSWORD)
    hilum.manage("create_member", "labeller", "demo", "clinician", "--default")
    return "labeller"


@pytest.fixture
def sign_in(chromium, hilum):
    """Another person, in a browser of their own: `sign_in("admin")`."""
    contexts = []

    def browser_of(username):
        contexts.append(chromium.new_context(viewport={"width": 1366, "height": 768}, base_url=hilum.url))
        page = contexts[-1].new_page()
        page.goto("/sign-in/")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        return page

    yield browser_of
    for context in contexts:
        context.close()


@pytest.fixture
def admin(sign_in):
    return sign_in("admin")


@pytest.fixture
def colleague(sign_in, hilum):
    """The second reader: who has labelled a case does not decide it."""
    make = "from webapp.accounts.models import User; User.objects.create_user('colleague', password='%s')"
    hilum.manage("shell", "-c", make % PASSWORD)
    hilum.manage("create_member", "colleague", "demo", "clinician", "--default")
    return sign_in("colleague")


def make_queue(page, name: str) -> str:
    page.goto("/label/")
    page.get_by_role("link", name="New queue").first.click()
    page.get_by_label("Name").fill(name)
    for box in page.locator("input[name=finding]").all():
        box.set_checked(box.get_attribute("value") == "normal")
    page.get_by_label("Other findings, separated by commas").fill("opacity")
    page.get_by_label("Readers per image").fill("2")
    page.get_by_label("Order").select_option("random")
    page.get_by_label("Type").select_option("phantom")
    page.get_by_label("Maximum number").fill(str(IMAGES))
    page.get_by_role("button", name="Create queue").click()
    wait_for(
        lambda: f"0 of {IMAGES}" in page.content() or f"{IMAGES} of {IMAGES}" in page.content(),
        "the queue",
    )
    return page.url


def ready(page) -> None:
    wait_for(lambda: page.locator("[data-case][data-shown]").count(), "the image")


def label(page, *keys: str) -> None:
    """By keys alone: state it, commit it, see Hilum's result only then."""
    ready(page)
    assert not page.locator(".bar-row").count()
    assert page.locator("[data-next]").is_hidden()
    for key in keys:
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    wait_for(lambda: page.locator("[data-result] .headline").is_visible(), "the model result")


def following(page) -> None:
    before = page.url
    page.keyboard.press("n")
    page.wait_for_url(lambda url: url != before)


def first_case_offline_and_changed(page, complaints) -> list[str]:
    """A box by keys, a comment, no network while it is committed, and a change of mind."""
    for key in ("2", "q", "q", "d", "Enter", "ArrowRight", "Shift+ArrowDown", "Escape", "c"):
        page.keyboard.press(key)
    page.keyboard.type("left base")
    page.keyboard.press("Escape")
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    wait_for(lambda: "kept here" in page.locator("[data-error]").inner_text(), "the word that it is kept")
    assert not page.locator("[data-next]").is_visible()
    page.context.set_offline(False)
    wait_for(lambda: page.locator("[data-result] .headline").is_visible(), "the model result")
    assert page.locator("[data-regions] li").count() == 1
    found = complaints(page, "case, committed")
    page.reload()
    ready(page)
    assert page.get_by_label("Comment").input_value() == "left base", "it is all still there"
    page.keyboard.press("1")
    page.get_by_role("button", name="Update label").click()
    wait_for(
        lambda: "You changed your label after seeing the model result" in page.content(), "the change of mind"
    )
    return found


def decide_all(page) -> None:
    while "/adjudicate/" in page.url:
        for fieldset in page.locator("fieldset.statement").all():
            fieldset.get_by_text("absent").click()
        page.get_by_label("Reason").fill("seen together")
        before = page.url
        page.get_by_role("button", name="Save decision").click()
        page.wait_for_url(lambda url, before=before: url != before)


def first_reader(page, complaints) -> list[str]:
    """Labels the queue as 2, 1, 2, the network gone for a while; returns what axe complains of."""
    page.goto("/label/")
    found = complaints(page, "queues")
    page.keyboard.press("Enter")
    page.wait_for_url("**/label/cases/**")
    ready(page)
    found += complaints(page, "case")
    found += first_case_offline_and_changed(page, complaints)
    for key in ("1", "2"):
        following(page)
        label(page, key)
    following(page)
    wait_for(lambda: "Nothing left for you" in page.content(), "the end of the queue")
    assert "agreement" not in page.content(), "readers do not see how others labelled"
    return found


def test_two_readers_a_kappa_and_a_decision(page, admin, colleague, phantoms, expected, complaints):
    expected += ["ERR_INTERNET_DISCONNECTED"]
    names = [row["image"] for row in csv.DictReader((phantoms / "manifest.csv").open())]
    page.goto("/upload/")
    upload_with_manifest(page, sorted(phantoms.iterdir()))
    wait_for(lambda: settled(page, names), "every result", seconds=400)

    where = make_queue(admin, "Two readers")
    found = complaints(admin, "queue without labels")
    found += first_reader(page, complaints)
    colleague.goto("/label/")
    colleague.keyboard.press("Enter")
    colleague.wait_for_url("**/label/cases/**")
    for key in ("1", "1", "2"):
        label(colleague, key)
        following(colleague)
    assert colleague.url == where
    admin.goto(where)
    # Blind: the first reader stated 2, 1, 2 and the other 1, 1, 2; agreement 2 of 3, by chance 4 of 9.
    assert "0.40" in admin.locator("[data-agreement]").inner_text()
    found += complaints(admin, "queue with agreement")
    admin.get_by_role("link", name="Adjudicate").click()
    wait_for(lambda: admin.locator("[data-adjudicate][data-shown]").count(), "the image")
    found += complaints(admin, "decision")
    assert "labeller" not in admin.content()
    assert "colleague" not in admin.content()
    decide_all(admin)
    assert "No cases left to adjudicate" in admin.content()
    for name, address in (("new queue", "new"), ("labels as a file", "transfer"), ("manifests", "manifests")):
        admin.goto(f"/label/{address}/")
        found += complaints(admin, name)
    assert not found, "\n".join(found)
