"""The database refuses to change the audit log, and what is done past it is found."""

from __future__ import annotations

import json
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction

from tests.webapp.audit.tampering import commit_events, key_of, past_the_triggers
from webapp.audit.models import AuditChain, AuditEvent, AuditLink
from webapp.audit.services import record
from webapp.audit.verification import Problem, ends, verify

pytestmark = pytest.mark.django_db


@pytest.fixture
def events(site) -> list[AuditEvent]:
    made = [
        record(actor=None, site=site, action="scan.move", detail={"number": n, "share": n / 3, "whole": 1e3})
        for n in range(6)
    ]
    commit_events()
    return made


def found() -> list[tuple[str, int, int]]:
    return [(one.problem, one.first, one.last) for one in verify()]


def number_of(event: AuditEvent) -> int:
    return AuditLink.objects.get(event_id=event.pk).number


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditevent SET action = 'nothing.happened'",
        "DELETE FROM audit_auditevent",
        "UPDATE audit_auditlink SET number = number + 100",
        "DELETE FROM audit_auditlink",
        "UPDATE audit_auditchain SET head = 'x'",
        "UPDATE audit_auditchain SET length = 0",
        "DELETE FROM audit_auditchain",
    ],
)
def test_sql_cannot_change_or_remove_an_event(events, statement):
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEvent.objects.filter(action="scan.move").count() == len(events)
    assert found() == []


def test_sql_cannot_empty_the_log(events):
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE audit_auditevent"
            if connection.vendor == "postgresql"
            else "REPLACE INTO audit_auditevent SELECT * FROM audit_auditevent"
        )
    assert AuditEvent.objects.filter(action="scan.move").count() == len(events)


def test_events_are_numbered_by_site_in_the_order_of_their_recording(events, other_site):
    first = number_of(events[0])
    assert [number_of(event) for event in events] == list(range(first, first + 6))
    record(actor=None, site=other_site, action="scan.move")
    record(actor=None, site=None, action="model.promoted")
    commit_events()
    assert {end.chain for end in ends()} >= {events[0].site_id.hex, other_site.pk.hex, "global"}
    assert found() == []


def test_an_act_that_failed_leaves_no_gap(events, site):
    with transaction.atomic():
        record(actor=None, site=site, action="scan.move")
        transaction.set_rollback(True)
    last = record(actor=None, site=site, action="scan.move")
    commit_events()
    assert number_of(last) == number_of(events[-1]) + 1
    assert found() == []


@pytest.mark.parametrize("column", ["action", "subject", "detail", "request_id", "address", "channel"])
def test_a_changed_event_is_found(events, column):
    value = "'{\"number\": 7}'" if column == "detail" else "'other'"
    past_the_triggers(f"UPDATE audit_auditevent SET {column} = {value} WHERE id = '{key_of(events[2])}'")
    number = number_of(events[2])
    assert found() == [(Problem.CHANGED, number, 0)]


def test_an_event_with_another_actor_site_patient_or_time_is_found(events, owner, other_site):
    keys = [key_of(event) for event in events]
    past_the_triggers(
        f"UPDATE audit_auditevent SET actor_id = (SELECT id FROM accounts_user) WHERE id = '{keys[0]}'",
        f"UPDATE audit_auditevent SET patient = id WHERE id = '{keys[1]}'",
        f"UPDATE audit_auditevent SET created_at = '2020-01-01 00:00:00+00' WHERE id = '{keys[2]}'",
        "UPDATE audit_auditevent SET site_id = (SELECT id FROM accounts_site WHERE slug = 'harbour') "
        f"WHERE id = '{keys[3]}'",
    )
    assert [one.event for one in verify()] == [event.pk for event in events[:4]]


def test_an_event_removed_from_the_middle_is_found(events):
    number = number_of(events[2])
    past_the_triggers(f"DELETE FROM audit_auditevent WHERE id = '{key_of(events[2])}'")
    assert found() == [(Problem.REMOVED, number, 0)]


def test_events_removed_with_their_links_are_found(events):
    number = number_of(events[2])
    keys = f"('{key_of(events[2])}', '{key_of(events[3])}')"
    past_the_triggers(
        f"DELETE FROM audit_auditevent WHERE id IN {keys}",
        f"DELETE FROM audit_auditlink WHERE event_id IN {keys}",
    )
    assert found() == [(Problem.REMOVED, number, number + 1)]


def test_events_removed_from_the_end_are_found(events):
    number = number_of(events[4])
    keys = f"('{key_of(events[4])}', '{key_of(events[5])}')"
    past_the_triggers(
        f"DELETE FROM audit_auditevent WHERE id IN {keys}",
        f"DELETE FROM audit_auditlink WHERE event_id IN {keys}",
    )
    assert found() == [(Problem.END_REMOVED, number, number + 1)]


def test_an_inserted_event_is_found(events):
    """With the triggers it gets a place in the chain, and still no digest that only Hilum can make."""
    first = "created_at, actor_id, site_id, patient, action, subject"
    columns = f"{first}, detail, request_id, address, channel, digest"
    forged = "6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1" if connection.vendor == "postgresql" else "6f" * 16
    copy = (
        f"INSERT INTO audit_auditevent (id, {columns}) "
        f"SELECT '{forged}', {columns} FROM audit_auditevent WHERE id = '{key_of(events[0])}'"
    )
    past_the_triggers(copy)
    assert [one[0] for one in found()] == [Problem.INSERTED]
    past_the_triggers(f"DELETE FROM audit_auditevent WHERE id = '{forged}'")
    with connection.cursor() as cursor:
        cursor.execute(copy)
    commit_events()
    assert found() == [(Problem.CHANGED, number_of(events[-1]) + 1, 0)]


def test_swapped_events_are_found(events):
    one, other = key_of(events[1]), key_of(events[3])
    spare = "6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1" if connection.vendor == "postgresql" else "6f" * 16
    steps = [(one, spare), (other, one), (spare, other)]
    past_the_triggers(
        *(f"UPDATE audit_auditlink SET event_id = '{new}' WHERE event_id = '{old}'" for old, new in steps)
    )
    assert [one[0] for one in found()] == [Problem.SWAPPED] * 2


def test_an_event_signed_with_another_key_is_found(events, settings):
    settings.AUDIT_KEYS = ["guessed"]
    forged = record(actor=None, site=events[0].site, action="scan.move")
    commit_events()
    settings.AUDIT_KEYS = [settings.SECRET_KEY]
    assert found() == [(Problem.CHANGED, number_of(forged), 0)]


def test_events_of_an_earlier_key_are_verified_with_it(events, settings):
    settings.AUDIT_KEYS = ["new key", settings.SECRET_KEY]
    record(actor=None, site=events[0].site, action="scan.move")
    commit_events()
    assert found() == []


def test_the_command_states_what_is_wrong_and_keeps_the_ends(events, tmp_path, capsys):
    call_command("verify_audit_log")
    kept = capsys.readouterr().out
    assert {"chain": events[0].site_id.hex, "number": number_of(events[-1])}.items() <= {
        item for line in kept.splitlines() for item in json.loads(line).items()
    }
    (tmp_path / "ends").write_text(kept)
    record(actor=None, site=events[0].site, action="scan.move")
    commit_events()
    call_command("verify_audit_log", against=tmp_path / "ends")
    past_the_triggers(f"UPDATE audit_auditevent SET action = 'x' WHERE id = '{key_of(events[1])}'")
    with pytest.raises(CommandError, match="1 discrepancies"):
        call_command("verify_audit_log", against=tmp_path / "ends")
    assert str(events[1].pk) in capsys.readouterr().err


def test_a_log_that_was_shortened_with_its_ends_is_found_by_a_kept_end(events, tmp_path, capsys):
    call_command("verify_audit_log")
    (tmp_path / "ends").write_text(capsys.readouterr().out)
    last, before = (number_of(event) for event in (events[5], events[4]))
    chain, link = events[0].site_id.hex, AuditLink.objects.get(event_id=events[4].pk).link
    past_the_triggers(
        f"DELETE FROM audit_auditevent WHERE id = '{key_of(events[5])}'",
        f"DELETE FROM audit_auditlink WHERE event_id = '{key_of(events[5])}'",
        f"UPDATE audit_auditchain SET length = {before}, head = '{link}' WHERE chain = '{chain}'",
    )
    call_command("verify_audit_log")
    with pytest.raises(CommandError):
        call_command("verify_audit_log", against=tmp_path / "ends")
    assert f"anchor_lost: chain {chain} number {last}" in capsys.readouterr().err


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_writers_at_the_same_time_make_one_chain_and_never_wait_for_each_other(site, other_site):
    """Each transaction writes to both chains, in either order, and holds a lock that the others want."""
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: set DATABASE_URL")
    before = dict(AuditChain.objects.values_list("pk", "length"))
    errors = []

    def write(number: int) -> None:
        try:
            for _ in range(25):
                with transaction.atomic():
                    for one in (site, other_site) if number % 2 else (other_site, site):
                        record(actor=None, site=one, action="scan.move")
        except DatabaseError as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert found() == []
    after = dict(AuditChain.objects.values_list("pk", "length"))
    assert sorted(after[pk] - before.get(pk, 0) for pk in after) == [*[0] * (len(after) - 2), 200, 200]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_queue")
        assert cursor.fetchone() == (0,)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_an_open_transaction_holds_nobody_up(site):
    """The chain is locked at the end of a transaction only, not from its first event on."""
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: set DATABASE_URL")

    def write() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '2s'")
        record(actor=None, site=site, action="scan.second")
        connections.close_all()

    before = AuditLink.objects.count()
    with transaction.atomic():
        record(actor=None, site=site, action="scan.first")
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        assert AuditLink.objects.count() == before + 1
    assert AuditLink.objects.count() == before + 2
    assert found() == []
