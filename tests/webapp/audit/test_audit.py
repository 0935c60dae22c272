"""The audit trail: added to, never changed, and free of what people typed."""

from __future__ import annotations

import pytest
from django.db import transaction

from tests import factories
from webapp.accounts.models import Role
from webapp.accounts.services import membership_set, token_authenticate, token_create, token_revoke
from webapp.audit.models import AppendOnly, AuditEvent
from webapp.audit.selectors import events_visible
from webapp.audit.services import record
from webapp.registry.services import model_promote, model_register

pytestmark = pytest.mark.django_db


@pytest.fixture
def event(owner, site):
    return record(actor=owner, site=site, action="scan.move", subject=owner, detail={"reason": "wrong"})


def test_an_event_states_who_what_and_where(event, owner, site):
    assert (event.actor, event.site, event.action) == (owner, site, "scan.move")
    assert event.subject == f"accounts.user:{owner.pk}"


def test_an_event_is_never_changed(event):
    event.action = "nothing.happened"
    with pytest.raises(AppendOnly):
        event.save()
    with pytest.raises(AppendOnly):
        AuditEvent.objects.update(action="nothing.happened")
    with pytest.raises(AppendOnly):
        AuditEvent.objects.bulk_update([event], ["action"])
    with pytest.raises(AppendOnly):
        AuditEvent.objects.bulk_create([event], update_conflicts=True, update_fields=["action"])
    assert AuditEvent.objects.get(pk=event.pk).action == "scan.move"


def test_an_event_is_never_removed(event):
    with pytest.raises(AppendOnly):
        event.delete()
    with pytest.raises(AppendOnly):
        AuditEvent.objects.all().delete()
    assert AuditEvent.objects.filter(pk=event.pk).exists()


def test_an_account_with_a_history_cannot_be_deleted(event, owner):
    from django.db.models import ProtectedError

    with pytest.raises(ProtectedError):
        owner.delete()


def test_an_act_that_failed_leaves_no_trace(site):
    def move_and_fail():
        with transaction.atomic():
            record(actor=None, site=site, action="scan.move")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        move_and_fail()
    assert not AuditEvent.objects.filter(action="scan.move").exists()


def test_signing_in_and_out_leaves_a_trace(client, owner, site):
    client.post("/sign-in/", {"username": "owner", "password": "correct horse battery"})
    client.post("/sign-out/")
    events = AuditEvent.objects.filter(actor=owner).order_by("created_at")
    assert [e.action for e in events] == ["account.signed_in", "account.signed_out"]
    assert {e.site for e in events} == {site}
    assert (events[0].address, events[0].channel) == ("127.0.0.1", "page")
    assert events[0].request_id


def test_a_failed_sign_in_names_the_account_and_keeps_nothing_typed(client, owner):
    client.post("/sign-in/", {"username": "owner", "password": "hunter2hunter2"})
    client.post("/sign-in/", {"username": "hunter2hunter2", "password": ""})
    client.post("/sign-in/", {"username": "hunter2hunter2", "password": "x"})
    events = AuditEvent.objects.filter(action="account.sign_in_failed")
    assert sorted(e.subject for e in events) == ["", f"accounts.user:{owner.pk}"]
    assert "hunter2" not in str(list(events.values()))


def test_what_opens_an_endpoint_leaves_a_trace(person, site):
    ada = person("ada", role="clinician", site=site)
    token, raw = token_create(user=ada, site=site, name="robot")
    token_authenticate(raw)
    token_revoke(token=token)
    membership_set(user=ada, site=site, role=Role.objects.get(name="admin"))
    ada.memberships.get().delete()
    events = AuditEvent.objects.filter(site=site, detail__user=str(ada.pk)).order_by("created_at")
    assert [(e.action, e.detail.get("role")) for e in events] == [
        ("membership.granted", "clinician"),
        ("token.created", None),
        ("token.revoked", None),
        ("membership.changed", "admin"),
        ("membership.removed", "admin"),
    ]
    assert raw not in str(list(events.values()))


def test_what_concerns_every_site_is_in_the_log_of_each(person, site, other_site, owner, tmp_path):
    admins = [person(f"admin at {one.slug}", role="admin", site=one) for one in (site, other_site)]
    boss = person("boss everywhere", role="admin", site=site)
    membership_set(user=boss, site=other_site, role=Role.objects.get(name="admin"))
    version = model_register(factories.artifact(tmp_path / "model"), by=boss, site=site)
    model_promote(model_version=version, by=boss, reason="the first")
    seen = [set(events_visible(admin).values_list("action", flat=True)) for admin in admins]
    assert ["model.promoted" in actions for actions in seen] == [True, True]
    assert ["model.registered" in actions for actions in seen] == [True, False], "that was its own site's"
    assert not events_visible(owner).exists()
