"""Lets PostgreSQL find patients by the beginning of their identifier, as `patient_matches` searches."""

INDEX = "patient_by_identifier_prefix"


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            f"CREATE INDEX {INDEX} ON scans_patient (UPPER(patient_id::text) text_pattern_ops)"
        )
        # Without statistics of its own the planner underrates an index on an expression.
        schema_editor.execute("ANALYZE scans_patient")


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX {INDEX}")
