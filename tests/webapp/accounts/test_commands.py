"""Sites and members from the command line."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from webapp.accounts.checks import new_sites_have_a_key, sites_without_identity_have_a_key
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


@pytest.mark.parametrize(
    ("default", "arguments", "expected"),
    [
        (False, [], False),
        (False, ["--deidentify"], True),
        (True, [], True),
        (True, ["--no-deidentify"], False),
    ],
)
def test_a_site_keeps_identity_or_not_as_it_is_reported(settings, default, arguments, expected):
    settings.DEIDENTIFY_ON_INGEST = default
    call_command("create_site", "north", "North Wing", *arguments)
    assert Site.objects.get().deidentify_on_ingest is expected


def test_no_site_removes_identity_without_a_key(db, settings):
    settings.DEIDENTIFY_KEY = "short"
    with pytest.raises(CommandError, match="DEIDENTIFY_KEY has to be set"):
        call_command("create_site", "north", "North Wing", "--deidentify")


def test_a_missing_key_is_reported_where_a_site_or_the_default_needs_one(site, settings):
    def ids():
        return [
            message.id
            for check in (new_sites_have_a_key, sites_without_identity_have_a_key)
            for message in check(None, databases=["default"])
        ]

    settings.DEIDENTIFY_KEY = ""
    assert ids() == []
    Site.objects.update(deidentify_on_ingest=True)
    assert ids() == ["hilum.E009"]
    settings.DEIDENTIFY_ON_INGEST = True
    assert ids() == ["hilum.E009"]
    settings.DEIDENTIFY_KEY = "0123456789abcdef" * 2
    assert ids() == []
