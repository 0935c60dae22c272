"""Signing in, being locked out, signing out, and choosing a site."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from webapp.accounts.middleware import ReadersTimezone
from webapp.accounts.models import Role
from webapp.accounts.services import active_membership, membership_set, token_create

pytestmark = pytest.mark.django_db
SIGN_IN = "/sign-in/"


def attempt(client, password="correct horse battery", **extra):
    return client.post(SIGN_IN, {"username": "owner", "password": password}, **extra)


def test_the_right_password_leads_to_the_page_that_was_asked_for(client, owner):
    response = client.post(
        SIGN_IN, {"username": "owner", "password": "correct horse battery", "next": "/upload/"}
    )
    assert (response.status_code, response.url) == (302, "/upload/")


def test_nobody_is_led_to_another_host(client, owner):
    response = client.post(
        SIGN_IN,
        {"username": "owner", "password": "correct horse battery", "next": "https://evil.example/"},
    )
    assert response.url == "/"


def test_a_wrong_password_states_so_and_signs_nobody_in(client, owner):
    response = attempt(client, "wrong")
    assert response.status_code == 200
    assert "correct" in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_too_many_failures_lock_out_even_the_right_password(client, owner):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        attempt(client, "wrong")
    response = attempt(client)
    assert response.status_code == 429
    assert "locked_out" in response.content.decode()


def test_a_lock_out_meets_the_guesser_and_not_the_colleague_elsewhere(client, owner):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        attempt(client, "wrong", REMOTE_ADDR="192.0.2.7")
    assert attempt(client, REMOTE_ADDR="192.0.2.7").status_code == 429
    assert attempt(client, REMOTE_ADDR="192.0.2.8").status_code == 302


def test_a_forged_forwarding_header_is_no_way_around_the_lock(client, owner):
    for n in range(settings.AXES_FAILURE_LIMIT):
        attempt(client, "wrong", HTTP_X_FORWARDED_FOR=f"192.0.2.{n}")
    assert attempt(client, HTTP_X_FORWARDED_FOR="192.0.2.200").status_code == 429


def test_a_deactivated_account_signs_in_no_more(client, owner):
    owner.is_active = False
    owner.save()
    assert attempt(client).status_code == 200
    assert "_auth_user_id" not in client.session


def test_a_form_of_another_site_signs_nobody_out(owner):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    response = client.post("/sign-out/")
    assert response.status_code == 403
    assert "csrf" in response.content.decode()
    assert "_auth_user_id" in client.session


def test_signing_out_ends_the_session(client, owner):
    client.force_login(owner)
    assert client.post("/sign-out/").status_code == 302
    assert "_auth_user_id" not in client.session


def test_a_member_of_two_sites_chooses_the_active_one(client, owner, other_site):
    membership_set(user=owner, site=other_site, role=Role.objects.get(name="clinician"))
    client.force_login(owner)
    response = client.post("/site/", {"site": "harbour", "next": "/upload/"})
    assert response.url == "/upload/"
    request = response.wsgi_request
    assert active_membership(request).site == other_site


def test_a_site_of_outsiders_is_not_there(client, owner, other_site):
    client.force_login(owner)
    assert client.post("/site/", {"site": "harbour"}).status_code == 404


def test_choosing_a_site_leads_to_no_other_host(client, owner):
    client.force_login(owner)
    assert client.post("/site/", {"site": "st-anna", "next": "//evil.example"}).url == "/"


def test_a_token_with_a_cookie_speaks_for_its_own_site(client, owner, outsider, other_site):
    client.force_login(owner)
    request = client.post("/site/", {"site": "st-anna"}).wsgi_request
    assert active_membership(request).user == owner
    token, _ = token_create(user=outsider, site=other_site, name="robot")
    request.user = outsider
    request.user.api_token = token
    assert active_membership(request).site == other_site


@pytest.mark.parametrize(("own_zone", "shown"), [("", "Europe/Berlin"), ("Asia/Tokyo", "Asia/Tokyo")])
def test_times_are_shown_in_the_readers_zone(owner, own_zone, shown):
    owner.timezone = own_zone
    request = RequestFactory().get("/")
    request.user, request.session = owner, {}
    zones = []
    ReadersTimezone(lambda r: zones.append(timezone.get_current_timezone_name()) or HttpResponse())(request)
    assert zones == [shown]
    assert timezone.get_current_timezone_name() == "UTC"


def test_the_administration_is_for_superusers(client, owner, person):
    assert client.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/sign-in/")
    client.force_login(owner)
    assert client.get("/admin/", follow=True).status_code == 404
    client.force_login(person("root", is_superuser=True, is_staff=True))
    assert client.get("/admin/").status_code == 200
    assert client.get("/admin/accounts/user/").status_code == 200
    assert client.get("/admin/accounts/user/add/").status_code == 200
