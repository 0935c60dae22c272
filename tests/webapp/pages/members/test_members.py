"""Members of a site: roles, deactivation and invitations, within one's own rights."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from webapp.accounts.models import Invitation, Membership, Role, User
from webapp.accounts.services import membership_set, token_authenticate, token_create
from webapp.audit.models import AuditEvent
from worker.jobs.mail.invitations import send_invitations

pytestmark = pytest.mark.django_db
NEW = "kumquat lantern 7 orbit"


@pytest.fixture
def chief(person, site):
    return person("chief", role="admin", site=site)


@pytest.fixture
def at_work(browser, chief):
    return browser(chief)


@pytest.fixture
def office(browser, person, site):
    """A browser of somebody who manages users and may nothing else."""
    Role.objects.create(name="office", permissions=["users.manage", "audit.view"])
    return browser(person("office", role="office", site=site))


def role_of(user) -> str:
    return Membership.objects.get(user=user).role.name


def give(client, user, role):
    membership = Membership.objects.get(user=user)
    return client.post(f"/members/{membership.pk}/role/", {"role": role}, follow=True).content.decode()


def act(client, user, action):
    membership = Membership.objects.filter(user=user).first()
    page = client.post(f"/members/{membership.pk}/change/", {"action": action}, follow=True)
    return page.content.decode()


def invited(client, role="clinician", email=""):
    page = client.post("/members/", {"role": role, "email": email}).content.decode()
    found = re.search(r"http://testserver(/invitations/[\w:-]+/)", page)
    return found[1] if found else page


def account(username="newcomer", password=NEW, **fields) -> dict[str, str]:
    names = {"first_name": "Ada", "last_name": "Byron", "email": "ada@example.org"}
    return names | {"username": username, "password1": password, "password2": password} | fields


def events(action) -> int:
    return AuditEvent.objects.filter(action=action).count()


def test_an_admin_sees_the_members_of_the_own_site_only(at_work, owner, outsider):
    page = at_work.get("/members/").content.decode()
    assert "owner" in page
    assert "outsider" not in page


def test_an_admin_changes_a_role_and_it_is_recorded(at_work, owner):
    give(at_work, owner, "auditor")
    assert role_of(owner) == "auditor"
    event = AuditEvent.objects.get(action="membership.changed")
    assert (event.actor.username, event.detail["role"], event.detail["role_before"]) == (
        *("chief", "auditor"),
        "clinician",
    )


def test_nobody_gives_or_takes_a_role_above_the_own_rights(office, owner, chief):
    assert "permissions that yours does not have" in give(office, owner, "auditor")
    assert "permissions that yours does not have" in give(office, chief, "auditor")
    assert "permissions that yours does not have" in act(office, chief, "remove")
    assert "permissions that yours does not have" in act(office, chief, "deactivate")
    assert "permissions that yours does not have" in invited(office, "admin")
    assert (role_of(owner), role_of(chief)) == ("clinician", "admin")
    assert invited(office, "auditor").startswith("/invitations/")


def test_the_last_admin_stays(at_work, chief, person, site):
    assert "Nobody else at the site" in give(at_work, chief, "clinician")
    other = person("other", role="admin", site=site)
    act(at_work, other, "deactivate")
    assert "Nobody else at the site" in give(at_work, chief, "clinician")
    act(at_work, other, "reactivate")
    give(at_work, chief, "clinician")
    assert role_of(chief) == "clinician"


def test_nobody_is_deactivated_by_themselves_or_as_a_superuser(at_work, chief, person, site):
    root = person("root", role="clinician", site=site, is_superuser=True)
    act(at_work, chief, "deactivate")
    act(at_work, root, "deactivate")
    assert User.objects.filter(is_active=True).count() == 2


def test_a_deactivated_account_is_out_at_once(at_work, owner, browser, site):
    theirs = browser(owner)
    _, raw = token_create(user=owner, site=site, name="robot")
    act(at_work, owner, "deactivate")
    assert theirs.get("/").status_code == 302
    assert token_authenticate(raw) is None
    assert events("account.changed") == 1
    act(at_work, owner, "reactivate")
    assert Client().post("/sign-in/", {"username": "owner", "password": "correct horse battery"}).url == "/"


def test_an_account_of_several_sites_is_removed_and_not_deactivated(at_work, owner, site, other_site):
    membership_set(user=owner, site=other_site, role=Role.objects.get(name="clinician"))
    membership = Membership.objects.get(user=owner, site=site)
    _, raw = token_create(user=owner, site=site, name="robot")
    where = f"/members/{membership.pk}/change/"
    assert b"member of other sites" in at_work.post(where, {"action": "deactivate"}, follow=True).content
    at_work.post(where, {"action": "remove"})
    owner.refresh_from_db()
    assert owner.is_active
    assert list(owner.memberships.values_list("site__slug", flat=True)) == ["harbour"]
    assert token_authenticate(raw) is None
    assert events("membership.removed") == 1


def test_members_of_another_site_do_not_exist(at_work, outsider):
    membership = Membership.objects.get(user=outsider)
    assert at_work.post(f"/members/{membership.pk}/role/", {"role": "auditor"}).status_code == 404
    assert at_work.post(f"/members/{membership.pk}/change/", {"action": "remove"}).status_code == 404
    assert role_of(outsider) == "clinician"


def test_an_invitation_makes_an_account_once(at_work, site):
    link = invited(at_work)
    assert "http://testserver/invitations/" not in at_work.get("/members/").content.decode()
    guest = Client()
    assert b"St Anna" in guest.get(link).content
    assert guest.post(link, account()).url == "/"
    user = User.objects.get(username="newcomer")
    assert (role_of(user), user.get_full_name()) == ("clinician", "Ada Byron")
    assert guest.get("/").status_code == 200
    assert Client().post(link, account("another")).status_code == 404
    assert [events(f"invitation.{n}") for n in ("created", "accepted")] == [1, 1]


@pytest.mark.parametrize("password", ["aaaaaaaaaaaa", "newcomer-Qx7!mmvd", "St.Anna-ogkumquat"])
def test_an_invited_user_gets_no_weak_password(at_work, password):
    guest, link = Client(), invited(at_work)
    assert guest.post(link, account(password=password)).status_code == 200
    assert not User.objects.filter(username="newcomer").exists()


def test_an_invitation_ends_by_time_by_revocation_and_with_the_rights_of_its_maker(at_work, chief):
    late, revoked, powerless = (invited(at_work) for _ in range(3))
    first, second, _ = Invitation.objects.order_by("created_at")
    Invitation.objects.filter(pk=first.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    at_work.post(f"/members/invitations/{second.pk}/revoke/")
    assert [Client().get(link).status_code for link in (late, revoked, powerless)] == [404, 404, 200]
    membership_set(user=chief, site=first.site, role=Role.objects.get(name="auditor"))
    assert Client().get(powerless).status_code == 404
    assert events("invitation.revoked") == 1


def test_a_forged_link_is_not_found(at_work):
    link = invited(at_work)
    assert Client().get(link[:-3] + "xx/").status_code == 404
    assert Client().get(f"/invitations/{Invitation.objects.get().pk.hex}/").status_code == 404


def test_a_user_of_another_site_joins_with_the_own_account(at_work, browser, outsider, site):
    theirs, link = browser(outsider), invited(at_work)
    assert b"outsider" in theirs.get(link).content
    theirs.post(link)
    assert {one.site.slug for one in outsider.memberships.all()} == {"harbour", "st-anna"}


def test_an_invitation_is_mailed_once_where_mail_is_configured(at_work, settings):
    assert "not an e-mail address" in invited(at_work, email="nobody@")
    link = invited(at_work, email="ada@example.org")
    assert (send_invitations(), mail.outbox) == (0, [])
    settings.HILUM_MAIL = True
    assert (send_invitations(), send_invitations()) == (1, 0)
    assert mail.outbox[0].to == ["ada@example.org"]
    assert f"http://testserver{link}" in mail.outbox[0].body
    assert invited(at_work).startswith("/invitations/")
    assert send_invitations() == 0
