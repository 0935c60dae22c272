"""Errors: a page for people, problem details for programs, a code for both, and nothing of the patient."""

from __future__ import annotations

import json
import logging

import pytest
from django.db import OperationalError
from django.http import UnreadablePostError
from django.test import Client, RequestFactory

from classifier.reasons import ADVICE
from webapp.core.errors import CODES, CodedError
from webapp.core.http.middleware import CodedErrors
from webapp.core.http.problem_details import coded

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.webapp.core.urls")]


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


KNOWN = [("coded", 409, "patient_conflict"), ("missing", 404, "not_found"), ("denied", 403, "forbidden")]
KNOWN += [("broken", 500, "internal")]


@pytest.mark.parametrize(("kind", "status", "code"), KNOWN)
def test_people_get_a_page_with_the_remedy(client, kind, status, code):
    response = client.get(f"/fail/{kind}/")
    page = response.content.decode()
    assert response.status_code == status
    assert code in page
    assert CODES[code].remedy in page
    assert "Doe" not in page


@pytest.mark.parametrize(("kind", "status", "code"), KNOWN)
def test_programs_get_problem_details(client, kind, status, code):
    response = client.get(f"/fail/{kind}/", headers={"accept": "application/json"})
    body = response.json()
    assert response["Content-Type"] == "application/problem+json"
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["remedy"] == CODES[code].remedy
    assert body["request_id"] == response["X-Request-ID"]
    assert "Doe" not in response.content.decode()


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [*KNOWN[:3], ("invalid", 400, "invalid"), ("throttled", 429, "rate_limited")],
)
def test_the_api_speaks_the_same_codes(client, kind, status, code):
    response = client.get(f"/api/fail/{kind}/")
    assert response["Content-Type"] == "application/problem+json"
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_a_wrong_field_is_named(client):
    assert client.get("/api/fail/invalid/").json()["errors"] == {"slot": ["Not a slot."]}


def test_a_throttled_caller_learns_when_to_come_back(client):
    assert client.get("/api/fail/throttled/")["Retry-After"] == "4"


def test_an_upload_that_fails_is_processed_as_data_whatever_it_accepts(client):
    response = client.post("/fail/coded/", b"x", content_type="application/octet-stream")
    assert response.json()["code"] == "patient_conflict"


def test_a_page_that_is_not_there_states_so(client, owner):
    client.force_login(owner)
    response = client.get("/no-such-page/")
    assert response.status_code == 404
    assert "not_found" in response.content.decode()


def test_a_broken_page_asks_nothing_more_of_the_database(client, owner, monkeypatch):
    def down(request):
        raise OperationalError

    client.force_login(owner)
    monkeypatch.setattr("webapp.accounts.context.active_membership", down)
    response = client.get("/fail/broken/")
    assert response.status_code == 500
    assert "internal" in response.content.decode()


def test_a_program_without_credentials_is_reported_how_to_send_them(client):
    for response in (
        client.post("/site/", headers={"accept": "application/json"}),
        client.get("/api/whoami/"),
    ):
        assert response.status_code == 401
        assert response.json()["code"] == "unauthenticated"
        assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_bearer_token_opens_the_api(client, owner, site):
    from webapp.accounts.services import token_create

    _, raw = token_create(user=owner, site=site, name="robot")
    good = client.get("/api/whoami/", headers={"authorization": f"Bearer {raw}"})
    assert good.json() == {"user": "owner"}
    for bad in (f"Bearer {raw}x", "Bearer", "Bearer ", "Bearer ä"):
        assert client.get("/api/whoami/", headers={"authorization": bad}).status_code == 401


def test_every_code_has_its_words():
    for code, meaning in CODES.items():
        assert 400 <= meaning.status < 600
        assert meaning.message.endswith("."), code
        assert meaning.remedy.endswith("."), code
    assert not CODES.keys() & ({str(reason) for reason in ADVICE} - {"too_large"})


def test_an_error_may_bring_its_own_words():
    error = CodedError("odd", "It is odd.", "Make it even.", 422)
    assert (error.code, error.message, error.remedy, error.status) == (
        "odd",
        "It is odd.",
        "Make it even.",
        422,
    )


def test_the_log_names_route_and_status_and_no_address(client, caplog):
    with caplog.at_level(logging.INFO, logger="hilum.request"):
        client.get("/fail/fine/?patient=Doe")
    (line,) = [r for r in caplog.records if r.getMessage() == "request"]
    assert line.status == 200
    assert "Doe" not in json.dumps(vars(line), default=str)


@pytest.mark.parametrize("size", ["9999999999", "-1"])
def test_a_large_form_is_refused_before_a_byte_of_it_is_read(client, size):
    class Unread:
        def read(self, *args):
            raise AssertionError("the body was read")

        readline = read

    form = {"CONTENT_TYPE": "multipart/form-data; boundary=x", "CONTENT_LENGTH": size}
    response = client.post("/sign-in/", **form, **{"wsgi.input": Unread()})
    assert response.status_code == 413
    assert "too_large" in response.content.decode()


def test_an_upload_that_breaks_off_is_reported_by_page_and_api():
    broken = UnreadablePostError("timed out")
    request = RequestFactory().post("/upload/file/", b"x", content_type="application/octet-stream")
    reply = CodedErrors(lambda _: None).process_exception(request, broken)
    assert (reply.status_code, json.loads(reply.content)["code"]) == (400, "incomplete")
    assert coded(broken).code == "incomplete"
