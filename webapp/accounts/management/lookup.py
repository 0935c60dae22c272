"""Finding people, sites and roles by what is typed on a command line; CommandError says what is there."""

from __future__ import annotations

from django.core.management.base import CommandError

from webapp.accounts.models import Membership, Role, Site, User


def user_named(username: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise CommandError(f"There is no user {username!r}.")
    return user


def site_named(slug: str) -> Site:
    return _one(Site, "slug", slug)


def role_named(name: str) -> Role:
    return _one(Role, "name", name)


def site_of(user: User, slug: str | None) -> Site:
    """The site with this slug, else the user's default one; the user has to be a member there."""
    memberships = Membership.objects.filter(user=user).select_related("site")
    if slug:
        memberships = memberships.filter(site=site_named(slug))
    membership = memberships.first()
    if membership is None:
        raise CommandError(f"{user} is no member there; see create_member.")
    return membership.site


def _one(model: type[Site] | type[Role], field: str, value: str):
    found = model.objects.filter(**{field: value}).first()
    if found is None:
        known = ", ".join(model.objects.values_list(field, flat=True)) or "none"
        raise CommandError(f"There is no {model._meta.verbose_name} {value!r}; there are: {known}.")
    return found
