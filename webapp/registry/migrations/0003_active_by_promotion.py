"""The database itself lets a model become active, or stop being it, by a promotion alone."""

from django.db import migrations

WORDS = "a model becomes active, or stops being it, by a promotion alone"
CHANGED = "NEW.status <> OLD.status AND (NEW.status = 'active' OR OLD.status = 'active')"
PROMOTED = """
NEW.status = 'active' AND EXISTS (
    SELECT 1 FROM registry_promotion p WHERE p.model_version_id = NEW.id AND NOT p.enacted)
OR OLD.status = 'active' AND EXISTS (
    SELECT 1 FROM registry_promotion p WHERE p.previous_id = OLD.id AND NOT p.enacted)
"""


def protect(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION hilum_active_by_promotion() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN IF NOT ({PROMOTED}) THEN RAISE EXCEPTION '{WORDS}'; END IF; RETURN NEW; END $$"
        )
        body = f"FOR EACH ROW WHEN ({CHANGED}) EXECUTE FUNCTION hilum_active_by_promotion()"
    else:
        body = f"WHEN {CHANGED} BEGIN SELECT RAISE(ABORT, '{WORDS}') WHERE NOT ({PROMOTED}); END"
    schema_editor.execute(
        f"CREATE TRIGGER registry_active_by_promotion BEFORE UPDATE OF status ON registry_modelversion {body}"
    )


def release(apps, schema_editor):
    postgres = schema_editor.connection.vendor == "postgresql"
    on = " ON registry_modelversion" if postgres else ""
    schema_editor.execute(f"DROP TRIGGER registry_active_by_promotion{on}")
    if postgres:
        schema_editor.execute("DROP FUNCTION hilum_active_by_promotion()")


class Migration(migrations.Migration):
    dependencies = [("registry", "0002_gate")]
    operations = [migrations.RunPython(protect, release)]
