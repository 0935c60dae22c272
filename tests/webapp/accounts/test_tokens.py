"""Bearer tokens: shown once, kept as a digest, gone when revoked or too old."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone

from webapp.accounts.models import ApiToken
from webapp.accounts.permissions import Permission
from webapp.accounts.services import token_authenticate, token_create, token_revoke

pytestmark = pytest.mark.django_db


def test_a_token_speaks_for_its_user(owner, site):
    token, raw = token_create(user=owner, site=site, name="robot")
    assert token_authenticate(raw) == token
    assert token_authenticate(raw).user == owner


def test_only_a_digest_is_kept(owner, site):
    token, raw = token_create(user=owner, site=site, name="robot")
    stored = ApiToken.objects.values().get(pk=token.pk)
    assert raw.startswith("hlm_")
    assert raw.removeprefix("hlm_") not in str(stored)


def test_a_wrong_text_is_nobody(owner, site):
    _, raw = token_create(user=owner, site=site, name="robot")
    assert token_authenticate(raw[:-1]) is None
    assert token_authenticate("") is None


def test_a_revoked_token_is_nobody(owner, site):
    token, raw = token_create(user=owner, site=site, name="robot")
    token_revoke(token=token)
    assert token_authenticate(raw) is None


def test_the_command_line_revokes_the_named_tokens_of_one_person(owner, teammate, site, capsys):
    robot, press, theirs = (
        token_create(user=user, site=site, name=name)[1]
        for user, name in ((owner, "robot"), (owner, "press"), (teammate, "robot"))
    )
    call_command("revoke_token", "owner", "robot")
    assert [bool(token_authenticate(raw)) for raw in (robot, press, theirs)] == [False, True, True]
    with pytest.raises(CommandError, match="there are: press"):
        call_command("revoke_token", "owner", "robot")
    call_command("revoke_token", "owner")
    assert [bool(token_authenticate(raw)) for raw in (press, theirs)] == [False, True]
    assert capsys.readouterr().out.split("\n")[:2] == ["robot: revoked", "press: revoked"]


def test_an_expired_token_is_nobody(owner, site):
    past = timezone.now() - timedelta(seconds=1)
    _, raw = token_create(user=owner, site=site, name="robot", expires_at=past)
    assert token_authenticate(raw) is None


def test_the_token_of_a_deactivated_account_is_nobody(owner, site):
    _, raw = token_create(user=owner, site=site, name="robot")
    owner.is_active = False
    owner.save()
    assert token_authenticate(raw) is None


def test_the_last_use_is_noted_without_a_write_per_request(owner, site, django_assert_num_queries):
    token, raw = token_create(user=owner, site=site, name="robot")
    token_authenticate(raw)
    token.refresh_from_db()
    assert token.last_used_at is not None
    with django_assert_num_queries(1):
        token_authenticate(raw)


def test_a_scope_that_does_not_exist_is_refused(owner, site):
    with pytest.raises(ValidationError):
        token_create(user=owner, site=site, name="robot", scopes=["scan.destroy"])


def test_the_command_prints_a_token_that_works(owner, capsys):
    call_command("create_token", "owner", "--scope", "scan.view", "--name", "viewer")
    token = token_authenticate(capsys.readouterr().out.strip())
    assert (token.name, token.scopes) == ("viewer", [Permission.SCAN_VIEW])


def test_a_scope_that_the_role_does_not_grant_is_refused_with_those_that_it_does(owner, site, person):
    with pytest.raises(CommandError, match=r"model\.promote.*Choose from: .*scan\.view"):
        call_command("create_token", "owner", "--scope", "scan.view", "--scope", "model.promote")
    assert not ApiToken.objects.exists()
    auditor = person("auditor", role="auditor", site=site)
    assert token_create(user=auditor, site=site, name="log")[0].scopes == []
    assert token_create(user=auditor, site=site, name="log", scopes=["audit.view"])[0].scopes == [
        "audit.view"
    ]


def test_the_command_makes_no_token_for_a_site_of_others(owner, other_site):
    with pytest.raises(CommandError, match="not a member"):
        call_command("create_token", "owner", "--site", other_site.slug)


def test_the_command_names_the_sites_that_there_are(owner, site):
    with pytest.raises(CommandError, match="st-anna"):
        call_command("create_token", "owner", "--site", "nowhere")
