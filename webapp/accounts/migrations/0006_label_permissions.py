"""Administrators may make label queues, take labels in and out, and decide where readers disagree."""

from django.db import migrations

PERMISSIONS = ("label.manage", "label.adjudicate")


def grant(apps, schema_editor):
    for role in apps.get_model("accounts", "Role").objects.filter(name="admin"):
        role.permissions = [*role.permissions, *(p for p in PERMISSIONS if p not in role.permissions)]
        role.save(update_fields=["permissions"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_webhook_manage")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
