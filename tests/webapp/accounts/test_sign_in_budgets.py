"""Budgets of failed sign-ins: refused before hashing, without locking out those who are known."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher

from webapp.accounts.sign_in.throttling import HASHED_AT_ONCE, WAITING, place_to_hash
from webapp.core.errors import CodedError

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def budgets(settings):
    settings.HILUM_SIGN_IN_FAILURES_PER_ADDRESS = 30
    settings.HILUM_SIGN_IN_FAILURES_PER_ACCOUNT = 20


@pytest.fixture
def hashed(monkeypatch):
    """The passwords that were hashed."""
    seen, encode = [], MD5PasswordHasher.encode

    def counting(self, password, salt):
        seen.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counting)
    return seen


def sign_in(client, username, password="wrong", address="192.0.2.7"):
    return client.post("/sign-in/", {"username": username, "password": password}, REMOTE_ADDR=address)


def test_many_names_from_one_address_are_refused_and_nothing_is_hashed(client, hashed):
    statuses = [sign_in(client, f"name{n}").status_code for n in range(40)]
    assert statuses == [200] * 30 + [429] * 10
    assert len(hashed) == 30
    assert sign_in(client, "name99", address="192.0.2.8").status_code == 200


def test_many_addresses_of_one_ipv6_network_are_one_address(client):
    statuses = [sign_in(client, f"name{n}", address=f"2001:db8:0:7::{n:x}").status_code for n in range(1, 32)]
    assert statuses == [200] * 30 + [429]
    assert sign_in(client, "name99", address="2001:db8:0:8::1").status_code == 200


def test_one_account_from_many_addresses_is_refused(client, owner, hashed):
    statuses = [sign_in(client, "owner", address=f"198.51.100.{n}").status_code for n in range(1, 26)]
    assert statuses == [200] * 20 + [429] * 5
    assert len(hashed) == 20


def test_a_guesser_elsewhere_does_not_lock_out_a_user_at_a_known_address(client, owner):
    assert sign_in(client, "owner", PASSWORD, "192.0.2.50").status_code == 302
    client.post("/sign-out/")
    for n in range(1, 22):
        sign_in(client, "owner", address=f"198.51.100.{n}")
    assert sign_in(client, "owner", PASSWORD, "192.0.2.51").status_code == 429
    assert sign_in(client, "owner", PASSWORD, "192.0.2.50").status_code == 302


def test_a_guesser_inside_does_not_lock_out_the_colleagues_at_the_same_address(client, owner, teammate):
    assert sign_in(client, "owner", PASSWORD).status_code == 302
    client.post("/sign-out/")
    for n in range(31):
        sign_in(client, f"name{n}")
    assert sign_in(client, "teammate", PASSWORD).status_code == 429
    assert sign_in(client, "owner", PASSWORD).status_code == 302


def test_a_sign_in_of_ones_own_does_not_restore_the_budget_of_the_address(client, owner):
    for n in range(30):
        if n == 20:
            sign_in(client, "owner", PASSWORD)
            client.post("/sign-out/")
        sign_in(client, f"name{n}")
    assert sign_in(client, "name99").status_code == 429


def test_few_passwords_are_hashed_at_once_and_few_requests_wait(client, owner):
    entered, leave = threading.Semaphore(0), threading.Event()

    def hash_slowly():
        with place_to_hash():
            entered.release()
            leave.wait(10)

    threads = [threading.Thread(target=hash_slowly) for _ in range(HASHED_AT_ONCE + WAITING)]
    for thread in threads:
        thread.start()
    for _ in range(HASHED_AT_ONCE):
        assert entered.acquire(timeout=5)
    assert not entered.acquire(timeout=0.2)
    with pytest.raises(CodedError, match="unavailable"), place_to_hash():
        pass
    assert sign_in(client, "owner", PASSWORD).status_code == 503
    leave.set()
    for thread in threads:
        thread.join(10)
    assert sign_in(client, "owner", PASSWORD).status_code == 302
