"""Let PostgreSQL find patients by the beginning of their identifier, as `patient_matches` asks for it."""

from django.db import migrations


def index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE INDEX patient_by_beginning_of_number ON scans_patient (UPPER(patient_id::text) text_pattern_ops)"
        )
        # Without figures of its own the planner thinks little of an index on an expression.
        schema_editor.execute("ANALYZE scans_patient")


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX patient_by_beginning_of_number")


class Migration(migrations.Migration):

    dependencies = [('scans', '0006_study_by_uid')]

    operations = [migrations.RunPython(index, drop)]
