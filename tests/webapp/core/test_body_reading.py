"""A request's body is read only once identity, permission and size are known."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.test import Client

from webapp.core.http.middleware import ANONYMOUS_FORM_BYTES

pytestmark = pytest.mark.django_db
FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"


class Unread(BytesIO):
    """A body that must stay unread."""

    def read(self, *size: int) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def post(client, path: str, kind: str, size: int, **headers: str):
    client.cookies["hilum_csrf"] = "a" * 32
    unread = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(size), "CONTENT_TYPE": kind}
    return client.generic("POST", path, headers=headers, **unread)


@pytest.fixture
def strict() -> Client:
    return Client(enforce_csrf_checks=True)


@pytest.mark.parametrize("kind", [FORM, PARTS])
@pytest.mark.parametrize("path", ["/site/", "/upload/file/", "/api/v1/scans/", "/admin/accounts/user/add/"])
def test_a_outsiders_body_is_not_read(strict, path, kind):
    assert post(strict, path, kind, 1000).status_code in (302, 401)


def test_a_outsiders_form_is_small(strict):
    assert post(strict, "/sign-in/", FORM, ANONYMOUS_FORM_BYTES + 1).status_code == 413
    with pytest.raises(AssertionError, match="was read"):
        post(strict, "/sign-in/", FORM, ANONYMOUS_FORM_BYTES)


def test_a_users_body_is_not_read_for_a_token_that_is_in_the_header(strict, django_user_model):
    strict.force_login(django_user_model.objects.create_user("anna"))
    assert post(strict, "/upload/file/", PARTS, 1000, **{"x-csrftoken": "a" * 32}).status_code == 403
    wrong = post(strict, "/upload/file/", PARTS, 1000, **{"x-csrftoken": "b" * 32})
    assert (wrong.status_code, b"expired" in wrong.content) == (403, True)
