"""Finding users, sites and roles named on a command line; a CommandError lists what exists."""

from __future__ import annotations

from django.core.management.base import CommandError

from webapp.accounts.models import Membership, Role, Site, User


def user_named(username: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise CommandError(f"There is no user {username!r}.")
    return user


def acting_user(username: str | None, permission: str) -> User:
    """The user with this name; without one, the only active user whose role holds the permission."""
    if username:
        return user_named(username)
    members = Membership.objects.filter(user__is_active=True).select_related("user", "role")
    users = {member.user for member in members if permission in member.role.permissions}
    if len(users) != 1:
        names = ", ".join(sorted(user.get_username() for user in users)) or "none"
        raise CommandError(f"Name the acting user with --by. Users with {permission}: {names}.")
    return users.pop()


def site_named(slug: str) -> Site:
    return _one(Site, "slug", slug)


def role_named(name: str) -> Role:
    return _one(Role, "name", name)


def site_of(user: User, slug: str | None) -> Site:
    """The site with this slug, or the user's default site; the user has to be a member of it."""
    memberships = Membership.objects.filter(user=user).select_related("site")
    if slug:
        memberships = memberships.filter(site=site_named(slug))
    membership = memberships.first()
    if membership is None:
        raise CommandError(f"{user} is not a member of this site; see create_member.")
    return membership.site


def _one(model: type[Site] | type[Role], field: str, value: str):
    found = model.objects.filter(**{field: value}).first()
    if found is None:
        known = ", ".join(model.objects.values_list(field, flat=True)) or "none"
        raise CommandError(f"There is no {model._meta.verbose_name} {value!r}. Existing: {known}.")
    return found
