"""The database role of production adds to the audit log, and can neither change nor unguard it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction

from tests.webapp.audit.tampering import commit_events
from webapp.audit.models import AuditEvent, AuditLink
from webapp.audit.services import record
from webapp.audit.verification import verify

pytestmark = [pytest.mark.django_db, pytest.mark.services]
SCRIPT = Path(__file__).resolve().parents[3] / "deploy" / "postgres" / "insert-only-audit.sql"
REFUSED = [
    "UPDATE audit_auditevent SET action = 'x'",
    "DELETE FROM audit_auditevent",
    "TRUNCATE audit_auditevent",
    "ALTER TABLE audit_auditevent DISABLE TRIGGER ALL",
    "SET session_replication_role = replica",
    "DROP TABLE audit_auditlink",
    "INSERT INTO audit_auditlink SELECT gen_random_uuid(), chain, number + 1000, link FROM audit_auditlink",
    "UPDATE audit_auditchain SET length = 0",
    "INSERT INTO audit_queue (event_id, chain, digest) VALUES (gen_random_uuid(), 'global', 'x')",
    "DELETE FROM django_migrations",
]


@pytest.fixture
def as_role(site):
    """The connection acts with the role until the test ends, and the role goes with the transaction."""
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: set DATABASE_URL")
    commit_events()
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE hilum_test_app")
        cursor.execute(SCRIPT.read_text().replace(':"role"', "hilum_test_app"))
        cursor.execute("SET LOCAL ROLE hilum_test_app")
        yield cursor
        cursor.execute("RESET ROLE")


def test_the_role_records_events_that_are_chained(as_role, site):
    event = record(actor=None, site=site, action="scan.moved")
    commit_events()
    assert AuditLink.objects.filter(event_id=event.pk).exists()
    assert list(verify()) == []


@pytest.mark.parametrize("statement", REFUSED)
def test_the_role_can_neither_change_the_log_nor_what_guards_it(statement, as_role, site):
    record(actor=None, site=site, action="scan.moved")
    commit_events()
    with pytest.raises(DatabaseError, match=r"permission denied|must be owner"), transaction.atomic():
        as_role.execute(statement)
    assert AuditEvent.objects.filter(action="scan.moved").exists()
