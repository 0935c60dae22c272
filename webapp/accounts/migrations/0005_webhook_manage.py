"""Administrators may have the site's events sent to other programs."""

from django.db import migrations

PERMISSION = "webhook.manage"


def grant(apps, schema_editor):
    for role in apps.get_model("accounts", "Role").objects.filter(name="admin"):
        if PERMISSION not in role.permissions:
            role.permissions = [*role.permissions, PERMISSION]
            role.save(update_fields=["permissions"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_deidentify_on_ingest")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
