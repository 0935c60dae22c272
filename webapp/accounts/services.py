"""Who may do what, where: permissions, the active site, and bearer tokens."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from webapp.accounts.models import ApiToken, Membership, Role, Site, User
from webapp.accounts.permissions import Permission, known_permissions
from webapp.core.errors import CodedError
from webapp.core.http.network import is_loopback

TOKEN_PREFIX = "hlm_"  # noqa: S105 (a mark that secret scanners can look for, not a secret)
DEFAULT_SCOPES = (Permission.SCAN_UPLOAD, Permission.SCAN_VIEW, Permission.MODEL_VIEW)
TOKEN_DAYS = 90  # until a token expires, unless its maker chooses otherwise
_SESSION_KEY = "membership"
Account = User | AnonymousUser
M = TypeVar("M", bound=Model)


def can(user: Account, permission: str, site: Site | None) -> bool:
    """Whether the user may do this at the site; `site=None` asks about something global.

    What is global belongs to no site, so any membership that grants the permission is enough.
    """
    sites = _sites_granting(user, permission)
    return bool(sites) if site is None else site.pk in sites


def demand(user: Account, permission: str, site: Site | None) -> None:
    """Raise CodedError `forbidden` unless the user has the permission at the site."""
    if not can(user, permission, site):
        raise CodedError("forbidden")


def signed_in(user: Account) -> User:
    """The user of a request to a page that asks to sign in; raises CodedError `forbidden` for nobody."""
    if not isinstance(user, User):
        raise CodedError("forbidden")
    return user


def can_everywhere(user: Account, permission: str) -> bool:
    """Whether the user may do this at every site there is."""
    sites = _sites_granting(user, permission)
    return bool(sites) and not Site.objects.exclude(pk__in=sites).exists()


def for_sites(
    queryset: QuerySet[M], user: Account, permission: str, path: str = "site", *, include_global: bool = False
) -> QuerySet[M]:
    """The rows whose `path` leads to a site where the user has the permission (and the global ones)."""
    sites = _sites_granting(user, permission)
    allowed = Q(**{f"{path}__in": sites})
    if include_global and sites:
        allowed |= Q(**{f"{path}__isnull": True})
    return queryset.filter(allowed)


def _sites_granting(user: Account, permission: str) -> set[UUID]:
    if not getattr(user, "is_active", False) or user.is_anonymous:
        return set()
    sites = {held.site_id for held in _memberships(user) if permission in held.role.permissions}
    token = getattr(user, "api_token", None)
    if token is not None:
        sites &= {token.site_id} if permission in token.scopes else set()
    return sites


def _memberships(user: Account) -> list[Membership]:
    """With sites and roles; asked once where the user, or the token, lives as long as its request."""
    keeper = getattr(user, "api_token", None) or user
    known: list[Membership] | None = getattr(keeper, "kept_memberships", None)
    if known is None:
        held = Membership.objects.filter(user=user)  # type: ignore[misc]  # never anonymous here
        known = list(held.select_related("site", "role"))
        if hasattr(keeper, "kept_memberships"):
            keeper.kept_memberships = known
    return known


def may_authenticate(user: User, request: HttpRequest | None) -> bool:
    """False for inactive accounts, and for demo accounts anywhere but on loopback in demo mode."""
    if not user.is_active:
        return False
    return not user.is_demo or (settings.HILUM_ENV == "demo" and request is not None and is_loopback(request))


def active_membership(request: HttpRequest) -> Membership | None:
    """The membership that the user works under now: the token's, the chosen, the default or the first."""
    # The token and the cookie of a request may belong to different users.
    asking = (request.user.pk, getattr(getattr(request.user, "api_token", None), "pk", None))
    known = getattr(request, "_membership", None)
    if known is None or known[0] != asking:
        known = (asking, _find_membership(request))
        request._membership = known  # type: ignore[attr-defined]
    return known[1]


def _find_membership(request: HttpRequest) -> Membership | None:
    user = request.user
    if not user.is_authenticated:
        return None
    memberships = _memberships(user)
    token = getattr(user, "api_token", None)
    if token is not None:
        return next((m for m in memberships if m.site_id == token.site_id), None)
    chosen = request.session.get(_SESSION_KEY)
    return next((m for m in memberships if str(m.pk) == chosen), next(iter(memberships), None))


def membership_choose(*, request: HttpRequest, site: str) -> Membership | None:
    """Make the user's membership at the site with this slug the active one; None when there is none."""
    held = Membership.objects.filter(user=request.user, site__slug=site)  # type: ignore[misc]
    membership = held.select_related("site").first()
    if membership is not None:
        request.session[_SESSION_KEY] = str(membership.pk)
        request._membership = None  # type: ignore[attr-defined]
    return membership


@transaction.atomic
def membership_set(*, user: User, site: Site, role: Role, is_default: bool = False) -> Membership:
    """Give the user this role at the site, in place of an earlier one there."""
    first = not Membership.objects.filter(user=user, is_default=True).exclude(site=site).exists()
    if is_default:
        Membership.objects.filter(user=user).exclude(site=site).update(is_default=False)
    if hasattr(user, "kept_memberships"):
        user.kept_memberships = None
    membership, _ = Membership.objects.update_or_create(
        user=user, site=site, defaults={"role": role, "is_default": is_default or first}
    )
    return membership


def token_create(
    *,
    user: User,
    site: Site,
    name: str,
    scopes: Iterable[str] | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Make a bearer token; its text is returned here and never again.

    Without `scopes` it gets those of DEFAULT_SCOPES that the role grants. Raises ValidationError for an
    unknown scope, CodedError `invalid` for one that the user's role at the site does not grant.
    """
    held = Membership.objects.filter(user=user, site=site).select_related("role").first()
    granted = set(held.role.permissions) if held else set()
    scopes = granted & set(DEFAULT_SCOPES) if scopes is None else scopes
    raw = TOKEN_PREFIX + secrets.token_urlsafe(32)
    scopes = sorted({str(scope) for scope in scopes})
    known_permissions(scopes)
    if missing := [scope for scope in scopes if scope not in granted]:
        role = f"The role {held.role} of {user} at {site}" if held else f"{user}"
        raise CodedError(
            "invalid",
            f"{role} does not grant: {', '.join(missing)}.",
            f"Choose from: {', '.join(sorted(granted)) or 'none'}.",
        )
    token = ApiToken.objects.create(
        user=user, site=site, name=name, scopes=scopes, expires_at=expires_at, digest=_digest(raw)
    )
    return token, raw


def token_authenticate(raw: str, *, request: HttpRequest | None = None) -> ApiToken | None:
    """The live token with this text, else None; `token.user.api_token` narrows what its user `can` do."""
    token = ApiToken.objects.filter(digest=_digest(raw)).select_related("user", "site").first()
    if token is None or not token.live or not may_authenticate(token.user, request):
        return None
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > timedelta(minutes=1):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    token.user.api_token = token  # type: ignore[attr-defined]
    token.kept_memberships = None  # type: ignore[attr-defined]
    return token


def token_refusal(raw: str) -> tuple[ApiToken | None, str]:
    """The token with a text that does not authenticate, if there is one, and a word for the reason."""
    token = ApiToken.objects.filter(digest=_digest(raw)).select_related("user", "site").first()
    if token is None:
        return None, "unknown"
    if token.revoked_at is not None:
        return token, "revoked"
    return token, "account" if token.live else "expired"


def token_revoke(*, token: ApiToken) -> None:
    """Shut a token out from now on; what it did stays in the audit log."""
    token.revoked_at = timezone.now()
    token.save(update_fields=["revoked_at"])


def _digest(raw: str) -> str:
    # The token has 256 random bits, so a plain digest cannot be guessed backwards.
    return hashlib.sha256(raw.encode()).hexdigest()
