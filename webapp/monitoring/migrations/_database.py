"""The history of an alarm is evidence: the database itself refuses to change or remove a line of it."""

from webapp.core.triggers import append_only, operations

create, drop = operations(
    append_only("monitoring_alarmevent", "the history of an alarm is added to, never changed or removed")
)
