"""What an administrator of the database can do: statements past the triggers."""

from __future__ import annotations

from django.db import connection


def commit_events() -> None:
    """Have PostgreSQL chain what this transaction has recorded, as its end would."""
    connection.check_constraints()


def past_the_triggers(*statements: str, params: list | None = None) -> None:
    commit_events()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
            for statement in statements:
                cursor.execute(statement, params)
            cursor.execute("SET session_replication_role = DEFAULT")
            return
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit%'")
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            cursor.execute(statement, params)
        for _, sql in triggers:
            cursor.execute(sql)


def key_of(event) -> str:
    """The event's id as the database writes it."""
    return str(event.pk) if connection.vendor == "postgresql" else event.pk.hex
