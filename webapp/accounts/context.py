"""What every template knows of the person."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from webapp.accounts.models import Membership
from webapp.accounts.preferences import preferences_of
from webapp.accounts.services import active_membership


def person(request: HttpRequest) -> dict[str, object]:
    """`membership` (active), `memberships` (to choose from), `granted` (permissions), `preferences`."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"membership": None, "memberships": [], "granted": set(), "preferences": {}}
    membership = active_membership(request)
    memberships = SimpleLazyObject(lambda: list(Membership.objects.filter(user=user).select_related("site")))
    return {
        "membership": membership,
        "preferences": preferences_of(user),
        "memberships": memberships,
        "granted": set(membership.role.permissions) if membership else set(),
    }
