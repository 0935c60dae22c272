"""API clients with tokens."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from webapp.accounts.services import token_create

SCOPES = ("scan.upload", "scan.view")


@pytest.fixture
def client_of():
    """An API client with a fresh token of the user's: `client_of(user, site, scopes)`."""

    def make(user, site, scopes=SCOPES) -> APIClient:
        _, raw = token_create(user=user, site=site, name="test", scopes=scopes)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
        return client

    return make


@pytest.fixture
def client(client_of, owner, site) -> APIClient:
    return client_of(owner, site)
