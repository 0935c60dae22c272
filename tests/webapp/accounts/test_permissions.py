"""Who may do what, where."""

from __future__ import annotations

import pytest

from webapp.accounts.models import Membership, Role
from webapp.accounts.permissions import Permission
from webapp.accounts.services import can, for_sites, membership_set, token_authenticate, token_create

pytestmark = pytest.mark.django_db


def test_a_clinician_reads_at_their_own_site_only(owner, site, other_site):
    assert can(owner, Permission.SCAN_VIEW, site)
    assert not can(owner, Permission.SCAN_VIEW, other_site)


def test_a_clinician_promotes_nothing(owner, site):
    assert not can(owner, Permission.MODEL_PROMOTE, site)
    assert not can(owner, Permission.MODEL_PROMOTE, None)


def test_an_auditor_sees_the_trail_and_no_patient(person, site):
    auditor = person("auditor", role="auditor", site=site)
    assert [p for p in Permission if can(auditor, p, site)] == [Permission.AUDIT_VIEW]


def test_what_is_global_needs_the_permission_somewhere(person, owner, site):
    assert can(person("boss", role="admin", site=site), Permission.MODEL_PROMOTE, None)
    assert not can(person("nobody"), Permission.MODEL_VIEW, None)


def test_nobody_signed_in_may_nothing(site):
    from django.contrib.auth.models import AnonymousUser

    assert not can(AnonymousUser(), Permission.SCAN_VIEW, site)


def test_a_deactivated_account_may_nothing(owner, site):
    owner.is_active = False
    assert not can(owner, Permission.SCAN_VIEW, site)


def test_a_superuser_without_membership_reads_no_patient(person, site):
    assert not can(person("root", is_superuser=True), Permission.SCAN_VIEW, site)


def test_rows_of_other_sites_are_left_out(owner, teammate, outsider):
    seen = for_sites(Membership.objects.all(), owner, Permission.SCAN_VIEW)
    assert {m.user for m in seen} == {owner, teammate}


def test_rows_of_no_site_come_along_when_they_are_asked_for(owner, person, site):
    from webapp.audit.models import AuditEvent
    from webapp.audit.services import record

    for where in (site, None):
        record(actor=None, site=where, action="test.done")
    events = AuditEvent.objects.filter(action="test.done")
    assert for_sites(events, owner, Permission.SCAN_VIEW).count() == 1
    assert for_sites(events, owner, Permission.SCAN_VIEW, include_global=True).count() == 2
    assert not for_sites(events, person("nobody"), Permission.SCAN_VIEW, include_global=True).exists()


def test_a_token_narrows_its_user_to_one_site_and_its_scopes(owner, site, other_site):
    membership_set(user=owner, site=other_site, role=Role.objects.get(name="admin"))
    _, raw = token_create(user=owner, site=site, name="robot", scopes=[Permission.SCAN_VIEW])
    robot = token_authenticate(raw).user
    assert can(robot, Permission.SCAN_VIEW, site)
    assert not can(robot, Permission.SCAN_UPLOAD, site)
    assert not can(robot, Permission.SCAN_VIEW, other_site)


def test_a_token_grants_nothing_that_its_user_lost(owner, site):
    _, raw = token_create(user=owner, site=site, name="robot", scopes=[Permission.SCAN_VIEW])
    owner.memberships.all().delete()
    assert not can(token_authenticate(raw).user, Permission.SCAN_VIEW, site)


def test_the_first_membership_is_the_default_until_another_is_named(person, site, other_site):
    user, role = person("ada"), Role.objects.get(name="clinician")
    assert membership_set(user=user, site=site, role=role).is_default
    assert not membership_set(user=user, site=other_site, role=role).is_default
    assert membership_set(user=user, site=other_site, role=role, is_default=True).is_default
    assert [m.site for m in user.memberships.filter(is_default=True)] == [other_site]


def test_a_role_taken_away_is_gone_at_the_next_request(owner, site, client):
    """Memberships are read once for each request, and not kept for longer."""
    client.force_login(owner)
    assert client.get("/models/").status_code == 200
    Membership.objects.filter(user=owner).delete()
    assert client.get("/models/").status_code in (403, 404)
