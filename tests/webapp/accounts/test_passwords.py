"""Passwords: how they are stored, which are refused, and what ends with one."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth.hashers import identify_hasher, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

import webapp.settings
from webapp.accounts.services import token_authenticate, token_create

pytestmark = pytest.mark.django_db
STORED = ["webapp.accounts.sign_in.hashers.Argon2", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]


def problems(password, user=None) -> set[str]:
    try:
        validate_password(password, user)
    except ValidationError as error:
        return {one.code for one in error.error_list}
    return set()


@pytest.mark.parametrize(
    "password",
    [
        "aaaaaaaaaaaa",
        "viewer1viewer1",
        "abcdabcdabcd",
        "123qweasdzxc",
        "qwertyuiop12",
        "Passw0rd1234",
        "Hospital2026!",
        "Radiology2026!",
        "Winter2026Winter",
        "password1234",
        "ILoveYou2026",
        "12.03.196512.03.1965",
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused(password):
    assert "password_guessable" in problems(password)


@pytest.mark.parametrize(
    "password",
    ["viewer1-Qx7!mmvd", "Lovelace-ogkumquat", "St.Anna-ogkumquat", "my-hilum-kumquat", "ada1815-xkumquat"],
)
def test_a_password_with_the_name_of_the_user_or_the_site_is_refused(password, person, site):
    user = person("viewer1", role="clinician", site=site, last_name="Lovelace", email="ada1815@example.org")
    assert "password_has_name" in problems(password, user)


@pytest.mark.parametrize(
    "password", ["correct horse battery", "xkq7-mmvd-93pw", "kumquat 🦜 lantern", "k" + "umquat lantern" * 20]
)
def test_a_password_that_is_hard_to_guess_is_accepted(password, owner):
    assert problems(password, owner) == set()


def test_no_password_takes_long_to_assess():
    started = time.monotonic()
    problems("aAbB1" * 2000)
    assert time.monotonic() - started < 2


def test_passwords_are_stored_with_argon2id_and_older_ones_at_the_next_sign_in(settings, client, owner):
    assert webapp.settings.STORED_WITH == STORED
    settings.PASSWORD_HASHERS = STORED
    owner.password = make_password("correct horse battery", hasher="pbkdf2_sha256")
    owner.save()
    client.post("/sign-in/", {"username": "owner", "password": "correct horse battery"})
    owner.refresh_from_db()
    assert owner.password.startswith("argon2$argon2id$v=19$m=47104,t=1,p=1$")
    assert not identify_hasher(owner.password).must_update(owner.password)


def test_api_tokens_end_when_the_password_is_replaced(owner, teammate, site):
    (_, ended), (_, kept) = (token_create(user=who, site=site, name="robot") for who in (owner, teammate))
    owner.set_password("another horse battery")
    owner.save()
    assert token_authenticate(ended) is None
    assert token_authenticate(kept) is not None


def test_api_tokens_outlive_a_rehash_of_the_same_password(settings, client, owner, site):
    _, raw = token_create(user=owner, site=site, name="robot")
    settings.PASSWORD_HASHERS = [*STORED, "django.contrib.auth.hashers.MD5PasswordHasher"]
    before = owner.password
    client.post("/sign-in/", {"username": "owner", "password": "correct horse battery"})
    owner.refresh_from_db()
    assert owner.password != before
    assert token_authenticate(raw) is not None


def test_a_new_password_ends_the_other_sessions(client, owner):
    client.force_login(owner)
    assert client.get("/preferences/").status_code == 200
    owner.set_password("another horse battery")
    owner.save()
    assert client.get("/preferences/").status_code == 302
