"""The indexes by which PostgreSQL finds studies by any part of a name, or the beginning of a number.

They match what Django asks for `contains` and `startswith`. SQLite has none of them: it reads every row.
"""

from __future__ import annotations

from django.db import Error, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

BY_NUMBER, BY_WHO, PATIENT_BY_NAME = "study_by_number", "study_by_who", "patient_by_part_of_name"
BEGINNING = f"CREATE INDEX IF NOT EXISTS {BY_NUMBER} ON analysis_studysummary (number text_pattern_ops)"
PARTS = (
    f"CREATE INDEX IF NOT EXISTS {BY_WHO} ON analysis_studysummary USING gin (who gin_trgm_ops)",
    f"CREATE INDEX IF NOT EXISTS {PATIENT_BY_NAME} ON scans_patient USING gin (search_name gin_trgm_ops)",
)


def build(connection: BaseDatabaseWrapper) -> bool:
    """Create missing indexes; returns whether names have theirs. Repeating it does nothing.

    Names need the extension pg_trgm; where this user may not create it, they are left without an index.
    """
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(BEGINNING)
        try:
            with transaction.atomic(using=connection.alias):
                cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        except Error:
            return False
        for statement in PARTS:
            cursor.execute(statement)
    return True


def names_are_indexed(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_indexes WHERE indexname = %s", [BY_WHO])
        return cursor.fetchone() is not None
