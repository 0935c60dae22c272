"""Whatever makes, empowers or changes an account leaves an event, by whichever way it was done."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from webapp.accounts.models import Role, User
from webapp.accounts.services import membership_set
from webapp.audit.commands import RecordedUtility
from webapp.audit.models import AuditEvent, Channel

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def root(db) -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


@pytest.fixture
def admin(root) -> Client:
    client = Client()
    client.force_login(root)
    return client


def actions(**conditions) -> list[str]:
    return list(
        AuditEvent.objects.filter(**conditions).order_by("created_at").values_list("action", flat=True)
    )


def run(name: str, *arguments: str, **options) -> None:
    call_command(RecordedUtility(["manage.py", name]).fetch_command(name), *arguments, **options)


def test_making_a_superuser_is_recorded(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    run("createsuperuser", interactive=False, username="mallory", email="m@example.org")
    made = AuditEvent.objects.get(action="account.superuser_changed")
    assert made.subject == f"accounts.user:{User.objects.get().pk}"
    assert made.channel == Channel.COMMAND
    assert (made.detail["command"], made.detail["is_superuser"]) == ("createsuperuser", True)
    assert made.detail["system_user"]
    assert "mallory" not in str(list(AuditEvent.objects.values()))


def test_a_command_is_recorded_before_it_runs_and_its_arguments_are_not(owner):
    with pytest.raises(CommandError):
        run("create_token", "owner", "--site", "nowhere-at-all")
    event = AuditEvent.objects.get(action="command.run")
    assert event.detail["command"] == "create_token"
    assert "nowhere" not in str(event.detail)


@pytest.mark.parametrize("command", ["shell", "dumpdata", "loaddata", "flush", "changepassword", "dbshell"])
def test_commands_that_read_or_change_rows_are_not_exempt(command):
    from webapp.audit.commands import NOT_RECORDED

    assert command not in NOT_RECORDED


def test_every_command_of_hilum_is_recorded_or_known_to_touch_no_data():
    from django.core.management import get_commands

    from webapp.audit.commands import NOT_RECORDED

    own = {name for name, app in get_commands().items() if str(app).startswith("webapp.")}
    assert own & NOT_RECORDED == {"error_codes", "dicom_listener", "restore"}


def test_a_password_reset_is_recorded_without_the_password(owner):
    owner.set_password("another horse battery")
    owner.save()
    assert "account.password_changed" in actions(subject=f"accounts.user:{owner.pk}")
    assert "another" not in str(list(AuditEvent.objects.values()))


def test_signing_in_and_preferences_are_no_change_of_an_account(owner, client):
    client.force_login(owner)
    owner.preferences = {"keys": {}}
    owner.save(update_fields=["preferences"])
    assert "account.changed" not in actions()


def test_a_change_of_role_states_both_roles(owner, site):
    membership_set(user=owner, site=site, role=Role.objects.get(name="admin"))
    event = AuditEvent.objects.get(action="membership.changed")
    assert (event.detail["role_before"], event.detail["role"]) == ("clinician", "admin")


def test_a_changed_role_or_site_is_recorded(site, admin, root):
    role = Role.objects.get(name="auditor")
    role.permissions = ["audit.view", "scan.view"]
    role.save()
    site.deidentify_on_ingest = not site.deidentify_on_ingest
    site.save()
    assert AuditEvent.objects.get(action="role.changed").detail["permissions"] == role.permissions
    changed = AuditEvent.objects.get(action="site.changed")
    assert changed.detail == {
        "fields": ["deidentify_on_ingest"],
        "deidentify_on_ingest": site.deidentify_on_ingest,
    }


def test_what_an_administrator_does_in_the_administration_is_recorded(admin, root, owner):
    address = f"/admin/accounts/user/{owner.pk}/password/"
    admin.get(f"/admin/accounts/user/{owner.pk}/change/")
    admin.post(
        address,
        {"password1": "another horse bat", "password2": "another horse bat", "usable_password": "true"},
    )
    owner.refresh_from_db()
    assert owner.check_password("another horse bat")
    events = AuditEvent.objects.filter(actor=root, channel=Channel.ADMIN).order_by("created_at")
    assert [one.action for one in events] == [
        "access.opened",
        "account.changed",
        "account.password_changed",
    ]
    assert events[0].detail == {"route": "admin:accounts_user_change", "object": str(owner.pk)}
    assert {one.address for one in events} == {"127.0.0.1"}


def test_removing_in_the_administration_is_recorded(admin, root, person, site):
    ada = person("ada")
    admin.post(
        "/admin/accounts/user/",
        {"action": "delete_selected", "_selected_action": [str(ada.pk)], "post": "yes"},
    )
    assert not User.objects.filter(pk=ada.pk).exists()
    event = AuditEvent.objects.get(action="account.removed")
    assert (event.actor, event.subject) == (root, f"accounts.user:{ada.pk}")


def test_an_outsider_of_the_administration_is_recorded(client, owner):
    client.force_login(owner)
    assert client.get("/admin/", follow=True).status_code == 404
    event = AuditEvent.objects.get(action="access.refused")
    assert (event.actor, event.detail["code"], event.channel) == (owner, "not_found", Channel.ADMIN)


def test_clearing_sessions_by_the_sweeper_is_no_command_of_a_person(db):
    call_command("clearsessions")
    assert actions() == []
