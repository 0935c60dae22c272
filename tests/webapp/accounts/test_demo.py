"""Demo accounts: made by name, signing in on loopback only."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from webapp.accounts.models import Membership, User
from webapp.accounts.services import token_authenticate, token_create

pytestmark = pytest.mark.django_db
PASSWORD = "a demo password"


@pytest.fixture
def demo(settings, monkeypatch):
    monkeypatch.setenv("HILUM_DEMO_PASSWORD", PASSWORD)
    settings.HILUM_ENV = "demo"
    call_command("create_demo")


def sign_in(client, **surroundings):
    return client.post(
        reverse("accounts:sign_in"), {"username": "clinician", "password": PASSWORD}, **surroundings
    )


def test_a_demo_account_signs_in_on_loopback(client, demo):
    assert sign_in(client).status_code == 302
    assert sign_in(client, REMOTE_ADDR="::1").status_code == 302


@pytest.mark.parametrize(
    "surroundings",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": ""},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_FORWARDED": "for=127.0.0.1"},
    ],
)
def test_a_demo_account_results_nobody_from_elsewhere(client, demo, surroundings):
    assert sign_in(client, **surroundings).status_code == 200
    assert "_auth_user_id" not in client.session


def test_a_demo_account_results_in_demo_mode_only(client, demo, settings):
    settings.HILUM_ENV = "production"
    assert sign_in(client).status_code == 200
    assert "_auth_user_id" not in client.session


def test_a_demo_session_carried_elsewhere_is_nobodys(client, demo):
    sign_in(client)
    away = client.post(reverse("accounts:choose_site"), {"site": "demo"}, REMOTE_ADDR="192.0.2.7")
    assert away.status_code == 302
    assert away.url.startswith(reverse("accounts:sign_in"))
    assert client.post(reverse("accounts:choose_site"), {"site": "demo"}).url == "/"


def test_a_demo_token_is_nobody_from_elsewhere(demo, rf):
    user = User.objects.get(username="clinician")
    _, raw = token_create(user=user, site=user.memberships.get().site, name="robot")
    assert token_authenticate(raw, request=rf.get("/"))
    assert token_authenticate(raw, request=rf.get("/", REMOTE_ADDR="192.0.2.7")) is None
    assert token_authenticate(raw) is None


def test_making_the_demo_twice_changes_nothing(demo):
    before = list(User.objects.order_by("pk").values_list("pk", "username", "password"))
    call_command("create_demo")
    assert list(User.objects.order_by("pk").values_list("pk", "username", "password")) == before
    assert Membership.objects.count() == 2


def test_the_demo_admin_opens_the_administration_and_the_clinician_does_not(client, demo):
    statuses = {}
    for name in ("admin", "clinician"):
        client.force_login(User.objects.get(username=name), "webapp.accounts.backends.AccountBackend")
        statuses[name] = client.get("/admin/", REMOTE_ADDR="127.0.0.1", follow=True).status_code
    assert statuses == {"admin": 200, "clinician": 404}


def test_a_new_demo_password_takes_the_place_of_the_old(demo, monkeypatch):
    monkeypatch.setenv("HILUM_DEMO_PASSWORD", "another one")
    call_command("create_demo")
    assert User.objects.get(username="admin").check_password("another one")


def test_without_a_given_password_one_is_made_once_for_the_owner_alone(
    settings, monkeypatch, tmp_path, capsys
):
    monkeypatch.delenv("HILUM_DEMO_PASSWORD", raising=False)
    settings.HILUM_ENV, settings.HILUM_DATA = "demo", tmp_path
    call_command("create_demo")
    call_command("create_demo")
    password = (tmp_path / "demo-password").read_text()
    assert capsys.readouterr().out.count(password) == 2
    assert (tmp_path / "demo-password").stat().st_mode & 0o777 == 0o600
    assert User.objects.get(username="clinician").check_password(password)


def test_the_demo_takes_over_no_real_account(person, settings):
    settings.HILUM_ENV = "demo"
    person("clinician")
    with pytest.raises(CommandError, match="not a demo account"):
        call_command("create_demo")


def test_production_makes_no_demo(settings):
    settings.HILUM_ENV = "production"
    with pytest.raises(CommandError, match="HILUM_ENV=demo"):
        call_command("create_demo")


def test_demo_accounts_outside_the_demo_are_reported(demo, settings):
    from webapp.accounts.checks import demo_accounts_stay_in_the_demo

    assert demo_accounts_stay_in_the_demo(None, databases=["default"]) == []
    settings.HILUM_ENV = "production"
    (message,) = demo_accounts_stay_in_the_demo(None, databases=["default"])
    assert message.id == "hilum.W007"
