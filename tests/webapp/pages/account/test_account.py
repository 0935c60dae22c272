"""One's own account: the password, the sessions, the API tokens."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from webapp.accounts.models import ApiToken, UserSession
from webapp.accounts.services import token_authenticate, token_create
from webapp.accounts.sessions.devices import device_name
from webapp.audit.models import AuditEvent

pytestmark = pytest.mark.django_db
PASSWORD, NEW = "correct horse battery", "kumquat lantern 7 orbit"
CHANGE = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}


def signed_in(username="owner", password=PASSWORD) -> Client:
    client = Client()
    response = client.post("/sign-in/", {"username": username, "password": password})
    assert response.status_code == 302
    return client


def is_in(client) -> bool:
    return client.get("/account/sessions/").status_code == 200


def actions() -> set[str]:
    return set(AuditEvent.objects.values_list("action", flat=True))


def test_a_user_replaces_the_password_and_only_this_session_goes_on(owner, site):
    here, elsewhere = signed_in(), signed_in()
    _, raw = token_create(user=owner, site=site, name="robot")
    assert here.post("/account/password/", CHANGE).status_code == 302
    assert (is_in(here), is_in(elsewhere)) == (True, False)
    assert token_authenticate(raw) is None
    assert UserSession.objects.filter(user=owner, ended_at=None).count() == 1
    assert "account.password_changed" in actions()
    signed_in(password=NEW)


def test_a_weak_password_is_refused_with_the_reason(owner):
    weak = {"new_password1": "owner1owner1", "new_password2": "owner1owner1"}
    page = signed_in().post("/account/password/", CHANGE | weak).content.decode()
    assert "easy to guess" in page
    assert "contains your name" in page
    signed_in()


def test_a_session_cannot_guess_the_current_password_for_long(owner):
    browser = signed_in()
    statuses = [
        browser.post("/account/password/", CHANGE | {"old_password": f"wrong {n}"}).status_code
        for n in range(6)
    ]
    assert statuses == [200] * 4 + [429] * 2
    owner.refresh_from_db()
    assert owner.check_password(PASSWORD)


def test_a_user_ends_one_session_or_all_others(owner, teammate):
    here, lost, old, theirs = signed_in(), signed_in(), signed_in(), signed_in("teammate")
    ending = UserSession.objects.get(session_key=lost.session.session_key)
    here.post("/account/sessions/end/", {"session": ending.pk})
    assert [is_in(one) for one in (here, lost, old, theirs)] == [True, False, True, True]
    here.post("/account/sessions/end/")
    assert [is_in(one) for one in (here, lost, old, theirs)] == [True, False, False, True]
    assert "account.session_ended" in actions()


def test_nobody_ends_the_session_of_somebody_else(owner, teammate):
    here, theirs = signed_in(), signed_in("teammate")
    for key in (UserSession.objects.get(user=teammate).pk, "nonsense"):
        assert here.post("/account/sessions/end/", {"session": key}).status_code == 302
    assert is_in(theirs)
    assert is_in(here)


def test_the_list_shows_where_a_user_is_signed_in(owner, teammate):
    client = Client(REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="Mozilla/5.0 (Windows NT 10.0) Firefox/140.0")
    client.post("/sign-in/", {"username": "owner", "password": PASSWORD})
    page = client.get("/account/sessions/").content.decode()
    assert "Firefox, Windows" in page
    assert "192.0.2.7" in page
    assert "This session" in page
    UserSession.objects.update(last_used_at=timezone.now() - timedelta(hours=2))
    assert "192.0.2.7" not in client.get("/account/sessions/").content.decode()


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0",
            "Edge, Windows",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36", "Chrome, Linux"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Version/17.5 Safari/605.1.15", "Safari, macOS"),
        ("curl/8.0", ""),
    ],
)
def test_a_device_is_named_by_browser_and_system(user_agent, name):
    assert device_name(user_agent) == name


def test_a_user_makes_a_token_that_is_shown_once_and_expires_after_90_days(owner, site):
    browser = signed_in()
    made = browser.post("/account/tokens/", {"name": "robot", "scope": ["scan.view"]}).content.decode()
    (raw,) = set(re.findall(r"hlm_[\w-]+", made))
    token = token_authenticate(raw)
    assert (token.name, token.scopes, token.user) == ("robot", ["scan.view"], owner)
    assert timedelta(days=89) < token.expires_at - timezone.now() <= timedelta(days=90)
    again = browser.get("/account/tokens/").content.decode()
    assert "robot" in again
    assert "hlm_" not in again
    assert "token.created" in actions()


def test_a_token_gets_no_scope_that_the_role_does_not_grant(owner):
    browser = signed_in()
    page = browser.post("/account/tokens/", {"name": "robot", "scope": ["model.promote"]}).content.decode()
    assert "does not grant: model.promote" in page
    assert not ApiToken.objects.exists()
    assert browser.post("/account/tokens/", {"name": "x", "scope": ["scan.destroy"]}).status_code == 200
    assert not ApiToken.objects.exists()


def test_a_user_revokes_an_own_token_and_no_other(owner, teammate, site):
    (own, mine), (other, theirs) = (
        token_create(user=who, site=site, name="robot") for who in (owner, teammate)
    )
    browser = signed_in()
    assert browser.post(f"/account/tokens/{own.pk}/revoke/").status_code == 302
    assert browser.post(f"/account/tokens/{other.pk}/revoke/").status_code == 404
    assert token_authenticate(mine) is None
    assert token_authenticate(theirs) is not None


def test_a_token_of_the_command_expires_after_90_days_unless_asked_otherwise(owner, capsys):
    for days, expires in ((), True), (("--days", "0"), False):
        call_command("create_token", "owner", *days)
        token = token_authenticate(capsys.readouterr().out.strip())
        assert (token.expires_at is not None) is expires


def test_a_token_opens_none_of_these_pages(owner, site):
    _, raw = token_create(user=owner, site=site, name="robot")
    client = Client(HTTP_AUTHORIZATION=f"Bearer {raw}")
    for page in ("password", "sessions", "tokens"):
        assert client.get(f"/account/{page}/").status_code == 302
