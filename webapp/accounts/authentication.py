"""Bearer tokens for the API (RFC 6750)."""

from __future__ import annotations

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from webapp.accounts.services import token_authenticate, token_refusal
from webapp.core.http.network import KNOWN_CALLER


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer TOKEN`; request.auth becomes the ApiToken."""

    def authenticate(self, request):
        scheme, _, raw = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        text = raw.strip().decode("latin-1")
        token = token_authenticate(text, request=request._request)
        if token is None:
            request._request.token_refusal = token_refusal(text)
            raise AuthenticationFailed
        request._request.META[KNOWN_CALLER] = True
        return token.user, token

    def authenticate_header(self, request) -> str:
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = TokenAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "http", "scheme": "bearer"}
