"""Authorization: a bearer token's site and scopes, checked before the body of a request is read."""

from __future__ import annotations

from rest_framework.request import Request

from webapp.accounts.models import Site
from webapp.accounts.services import active_membership, can
from webapp.core.errors import CODES, CodedError

# What a program does about an error, where the general remedy is for a person in front of a page.
REMEDIES = {
    "not_found": "Check the address and the ID. Records of another site are not found either.",
    "conflict": "GET the record again and act on its current state.",
    "patient_conflict": "Check patient_id. If the earlier patient is wrong, POST to /scans/{id}/move/.",
}


def with_remedy(error: CodedError) -> CodedError:
    """The error with the remedy for programs, unless it has one of its own."""
    if error.code in REMEDIES and error.remedy == CODES[error.code].remedy:
        error.remedy = REMEDIES[error.code]
    return error


def site_granting(request: Request, permission: str | None) -> Site:
    """The caller's site; raises CodedError `no_site`, or what `demand` raises (not for `permission` None)."""
    membership = active_membership(request)
    if membership is None:
        raise CodedError("no_site")
    if permission:
        demand(request, permission, membership.site)
    return membership.site


def demand(request: Request, permission: str, site: Site | None) -> None:
    """Raise CodedError unless role and token grant it: `insufficient_scope` if only the token does not."""
    if can(request.user, permission, site):
        return
    scopes = getattr(request.auth, "scopes", None)
    membership = active_membership(request)
    granted = membership is not None and permission in membership.role.permissions
    if scopes is not None and permission not in scopes and granted:
        raise CodedError(
            "insufficient_scope",
            message=f"This token lacks the scope {permission}.",
            remedy=f"Create a token that has it: manage.py create_token USER --scope {permission}",
            members={"scope": permission},
        )
    raise CodedError(
        "forbidden", message=f"Your role does not grant {permission}.", members={"permission": permission}
    )
