"""Database triggers, the same on SQLite and PostgreSQL, for rules that hold whoever writes a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor

Operation = Callable[[Any, BaseDatabaseSchemaEditor], None]


@dataclass(frozen=True)
class Trigger:
    """Refuses `event` on `table` with `message`, where `when` holds and `unless` does not.

    `event` is "DELETE", "UPDATE" or "UPDATE OF column". `when` may name OLD and NEW; queries go in `unless`.
    """

    name: str
    table: str
    event: str
    message: str
    when: str = "1 = 1"
    unless: str = "1 = 0"

    def create(self, editor: BaseDatabaseSchemaEditor) -> None:
        event = f"BEFORE {self.event} ON {self.table} FOR EACH ROW WHEN ({self.when})"
        head = f"CREATE TRIGGER {self.name} {event}"
        if editor.connection.vendor != "postgresql":
            refusal = f"SELECT RAISE(ABORT, '{self.message}') WHERE NOT ({self.unless})"
            editor.execute(f"{head} BEGIN {refusal}; END")
            return
        row = "OLD" if self.event == "DELETE" else "NEW"
        refusal = f"IF NOT ({self.unless}) THEN RAISE EXCEPTION '{self.message}'; END IF"
        editor.execute(
            f"CREATE OR REPLACE FUNCTION hilum_{self.name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN {refusal}; RETURN {row}; END $$"
        )
        editor.execute(f"{head} EXECUTE FUNCTION hilum_{self.name}()")

    def drop(self, editor: BaseDatabaseSchemaEditor) -> None:
        if editor.connection.vendor == "postgresql":
            editor.execute(f"DROP FUNCTION hilum_{self.name}() CASCADE")
        else:
            editor.execute(f"DROP TRIGGER {self.name}")


def append_only(table: str, message: str) -> tuple[Trigger, ...]:
    """Rows of `table` are added, never changed or removed."""
    return tuple(
        Trigger(f"{table}_no_{event.lower()}", table, event, message) for event in ("UPDATE", "DELETE")
    )


def operations(triggers: Iterable[Trigger]) -> tuple[Operation, Operation]:
    """The two functions of a migration's RunPython: create all, drop all."""
    listed = tuple(triggers)

    def create(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        for trigger in listed:
            trigger.create(editor)

    def drop(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        for trigger in listed:
            trigger.drop(editor)

    return create, drop
