"""Sites and members from the command line."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from webapp.accounts.models import Membership, Site

pytestmark = pytest.mark.django_db


def test_a_site_and_its_member_are_made(person):
    person("ada")
    call_command("create_site", "north", "North Wing", "--timezone", "Europe/Oslo")
    call_command("create_member", "ada", "north", "clinician")
    membership = Membership.objects.get(user__username="ada")
    assert (membership.site.name, membership.site.timezone) == ("North Wing", "Europe/Oslo")
    assert (membership.role.name, membership.is_default) == ("clinician", True)


def test_another_role_takes_the_place_of_the_first(owner, site):
    call_command("create_member", "owner", "st-anna", "admin")
    assert [m.role.name for m in owner.memberships.all()] == ["admin"]


@pytest.mark.parametrize(
    "arguments", [["Not A Slug", "Name"], ["north", "Name", "--timezone", "Mars/Olympus"]]
)
def test_a_malformed_site_is_refused(db, arguments):
    with pytest.raises(CommandError):
        call_command("create_site", *arguments)
    assert not Site.objects.exists()


def test_an_unknown_role_names_those_that_there_are(owner):
    with pytest.raises(CommandError, match="admin, auditor, clinician"):
        call_command("create_member", "owner", "st-anna", "king")
