"""Every address of the site, found through the resolver: outsiders get nothing."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

PUBLIC = {"healthz", "readyz", "sign-in/"}
SIGN_IN = ("/sign-in/", "/admin/login/")
EXAMPLES = {
    "uuid": "6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1",
    "int": "7",
    "str": "word",
    "slug": "word",
    "path": "a/b",
}


def addresses(resolver: URLResolver | None = None, prefix: str = "") -> list[str]:
    found = []
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + _plain(entry)
        if isinstance(entry, URLResolver):
            found += addresses(entry, route)
        elif isinstance(entry, URLPattern):
            found.append(route)
    return found


def _plain(entry: URLPattern | URLResolver) -> str:
    route = str(entry.pattern)
    if not hasattr(entry.pattern, "_route"):
        route = re.sub(r"\(\?P<(\w+)>[^)]*\)", "7", route).strip("^$").replace("\\.", ".").replace("/?", "/")
        return re.sub(r"\\Z|\$|\?", "", route)
    return re.sub(r"<(?:(\w+):)?\w+>", lambda m: EXAMPLES[m.group(1) or "str"], route)


def test_the_table_holds_the_addresses_that_everybody_knows():
    known = set(addresses())
    assert known >= {"healthz", "sign-in/", "sign-out/", "site/"}
    assert len(known) > 20


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_an_outsider_is_sent_to_sign_in_or_sees_nothing(method):
    client = Client()
    open_endpoints = {}
    for address in sorted(set(addresses()) - PUBLIC):
        response = getattr(client, method)(f"/{address}")
        to_sign_in = response.status_code == 302 and response.url.startswith(SIGN_IN)
        if not to_sign_in and response.status_code not in (401, 404):
            open_endpoints[f"{method} /{address}"] = response.status_code
    assert not open_endpoints


@pytest.mark.django_db
def test_a_page_is_never_kept_in_a_shared_cache_or_framed(client):
    response = client.get("/sign-in/")
    assert "no-store" in response["Cache-Control"]
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert "camera=()" in response["Permissions-Policy"]


@pytest.mark.django_db
def test_a_page_may_run_only_what_we_ship(client):
    policy = client.get("/sign-in/")["Content-Security-Policy"]
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["form-action"] == "'self'"
    assert "unsafe" not in policy
