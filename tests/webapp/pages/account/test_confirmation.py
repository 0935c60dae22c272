"""The password is asked for again before what cannot be taken back easily, or takes data out."""

from __future__ import annotations

import html
import re

import pytest

from webapp.accounts.models import ApiToken, Membership
from webapp.accounts.sessions.confirmation import READING, SENSITIVE
from webapp.pages.urls import urlpatterns

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
TOKEN = {"name": "robot <1>", "scope": ["scan.view", "model.view"]}


@pytest.fixture
def at_work(browser, person, site):
    """An admin who signed in an hour ago, and has worked since."""
    client = browser(person("chief", role="admin", site=site))
    session = client.session
    session["begun_at"] -= 3600
    session.save()
    return client


def asked(response) -> bool:
    return response.status_code == 403 and b"Confirm your password" in response.content


def kept(response) -> dict[str, list[str]]:
    """What the form would send again."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', response.content.decode()):
        found.setdefault(name, []).append(html.unescape(value))
    return {name: values for name, values in found.items() if name != "csrfmiddlewaretoken"}


def test_every_sensitive_address_exists():
    assert {*SENSITIVE, READING} <= {f"pages:{pattern.name}" for pattern in urlpatterns}


@pytest.mark.parametrize("address", ["/worklist/export/", "/label/export/", "/audit/export/", "/members/"])
def test_exports_and_members_ask_for_the_password_after_a_while(at_work, address):
    assert asked(at_work.post(address))
    assert at_work.get("/members/").status_code == 200


def test_what_was_entered_goes_on_after_the_password(at_work):
    page = at_work.post("/account/tokens/", TOKEN)
    assert asked(page)
    assert kept(page) == {"name": ["robot <1>"], "scope": TOKEN["scope"]}
    done = at_work.post("/account/tokens/", kept(page) | {"confirm_password": PASSWORD})
    assert done.status_code == 200
    token = ApiToken.objects.get()
    assert (token.name, token.scopes) == ("robot <1>", sorted(TOKEN["scope"]))
    assert not asked(at_work.post("/worklist/export/"))


def test_a_wrong_password_changes_nothing_and_counts_as_a_failed_sign_in(at_work, owner):
    member = Membership.objects.get(user=owner)
    wrong = {"role": "auditor", "confirm_password": "wrong"}
    statuses = [at_work.post(f"/members/{member.pk}/role/", wrong).status_code for _ in range(5)]
    assert statuses == [403] * 4 + [429]
    member.refresh_from_db()
    assert member.role.name == "clinician"
    assert at_work.post("/account/tokens/", TOKEN | {"confirm_password": PASSWORD}).status_code == 429


def test_who_has_just_signed_in_is_not_asked(browser, person, site):
    client = browser(person("chief", role="admin", site=site))
    assert client.post("/worklist/export/").status_code == 200


def test_a_site_that_wants_none_asks_nobody(at_work, settings):
    settings.HILUM_CONFIRM_MINUTES = 0
    assert at_work.post("/worklist/export/").status_code == 200


@pytest.mark.parametrize("asks", [False, True])
def test_a_reading_is_confirmed_where_the_site_says_so(at_work, site, case, asks):
    site.confirm_readings = asks
    site.save()
    where, signed = f"/scans/{case.scan.pk}/reading/", {"finding": "normal"}
    response = at_work.post(where, signed, HTTP_ACCEPT="application/json")
    if asks:
        assert response.json()["code"] == "confirmation_needed"
        at_work.post("/account/confirm/", {"confirm_password": PASSWORD})
        response = at_work.post(where, signed, HTTP_ACCEPT="application/json")
    assert "code" not in response.json()


def test_the_page_of_the_account_confirms_too(at_work):
    assert (
        b"not your current password" in at_work.post("/account/confirm/", {"confirm_password": "x"}).content
    )
    assert asked(at_work.post("/worklist/export/"))
    assert at_work.post("/account/confirm/", {"confirm_password": PASSWORD}).status_code == 302
    assert at_work.post("/worklist/export/").status_code == 200
