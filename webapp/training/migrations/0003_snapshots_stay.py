"""The database keeps snapshots, and the list of tested scans, from being changed or removed."""

from django.db import migrations

WORDS = "a snapshot is never changed or removed"
ACTS = [("training_snapshot", "UPDATE"), ("training_snapshot", "DELETE"), ("training_testedscan", "DELETE")]
# Whoever is in the test part stays there.
PARTS = "training_snapshotpatient"


def protect(apps, schema_editor):
    postgres = schema_editor.connection.vendor == "postgresql"
    if postgres:
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION hilum_snapshots_stay() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN RAISE EXCEPTION '{WORDS}'; END $$"
        )
    body = (
        "EXECUTE FUNCTION hilum_snapshots_stay()"
        if postgres
        else f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
    )
    each = "FOR EACH ROW"
    for table, act in ACTS:
        schema_editor.execute(f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} {each} {body}")
    left = "WHEN (OLD.part = 'test' AND NEW.part <> 'test')"
    schema_editor.execute(f"CREATE TRIGGER {PARTS}_stays BEFORE UPDATE ON {PARTS} {each} {left} {body}")


def release(apps, schema_editor):
    postgres = schema_editor.connection.vendor == "postgresql"
    for table, act in ACTS:
        on = f" ON {table}" if postgres else ""
        schema_editor.execute(f"DROP TRIGGER {table}_no_{act.lower()}{on}")
    schema_editor.execute(f"DROP TRIGGER {PARTS}_stays" + (f" ON {PARTS}" if postgres else ""))
    if postgres:
        schema_editor.execute("DROP FUNCTION hilum_snapshots_stay()")


class Migration(migrations.Migration):
    dependencies = [("training", "0002_snapshots_and_plans")]
    operations = [migrations.RunPython(protect, release)]
