"""Sessions end at their age and when nobody uses them, and leave nothing on a shared workstation."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from webapp.accounts.models import UserSession
from webapp.accounts.sessions import services
from webapp.accounts.sessions.services import sessions_tidy

pytestmark = pytest.mark.django_db
MINUTE, HOUR = 60, 3600


@pytest.fixture
def later(monkeypatch):
    """Lets time pass for the sessions, in seconds."""
    passed = [0.0]

    class Clock:
        @staticmethod
        def time() -> float:
            return time.time() + passed[0]

    monkeypatch.setattr(services, "time", Clock)
    return lambda seconds: passed.__setitem__(0, passed[0] + seconds)


@pytest.fixture
def browser(client, owner):
    client.post(
        "/sign-in/",
        {"username": "owner", "password": "correct horse battery"},
        REMOTE_ADDR="192.0.2.7",
        HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux) Firefox/140.0",
    )
    return client


def is_in(browser, page="/preferences/") -> bool:
    return browser.get(page).status_code == 200


def test_a_session_is_noted_with_its_address_and_browser(browser, owner):
    noted = UserSession.objects.get(user=owner)
    assert (noted.address, noted.ended_at) == ("192.0.2.7", None)
    assert "Firefox" in noted.user_agent
    assert noted.session_key == browser.session.session_key


def test_a_session_that_is_not_used_ends(browser, later, owner):
    later(59 * MINUTE)
    assert is_in(browser)
    later(61 * MINUTE)
    assert not is_in(browser)
    assert UserSession.objects.get(user=owner).ended_at is not None


def test_a_session_ends_at_its_age_however_much_it_is_used(browser, later):
    for _ in range(24):
        later(29 * MINUTE)
        assert is_in(browser)
    later(30 * MINUTE)
    assert not is_in(browser)


def test_an_open_page_keeps_nobody_signed_in(browser, later):
    for _ in range(3):
        later(25 * MINUTE)
        browser.get("/worklist/waiting/")
    assert not is_in(browser)


def test_there_is_no_idle_limit_where_the_site_wants_none(browser, later, settings):
    settings.HILUM_SESSION_IDLE_MINUTES = 0
    later(11 * HOUR)
    assert is_in(browser)


def test_the_use_of_a_session_is_noted_without_a_write_per_request(
    browser, later, owner, django_assert_max_num_queries
):
    UserSession.objects.update(last_used_at=timezone.now() - timedelta(hours=1))
    later(2 * MINUTE)
    is_in(browser)
    assert UserSession.objects.get().last_used_at > timezone.now() - timedelta(minutes=1)
    with django_assert_max_num_queries(4) as queries:
        is_in(browser)
    assert not [one["sql"] for one in queries.captured_queries if one["sql"].startswith("UPDATE")]


def test_a_sign_out_ends_the_session_and_clears_the_browser(browser, owner):
    response = browser.post("/sign-out/")
    assert response["Clear-Site-Data"] == '"cache", "storage"'
    assert UserSession.objects.get(user=owner).ended_at is not None


def test_old_sessions_are_forgotten(browser):
    sessions_tidy()
    assert UserSession.objects.count() == 1
    UserSession.objects.update(last_used_at=timezone.now() - timedelta(days=91))
    sessions_tidy()
    assert UserSession.objects.count() == 0
