"""Administrators may merge patients and part them again: it changes where every later file of a person goes."""

from django.db import migrations

PERMISSION = "patient.merge"


def grant(apps, schema_editor):
    for role in apps.get_model("accounts", "Role").objects.filter(name="admin"):
        if PERMISSION not in role.permissions:
            role.permissions = [*role.permissions, PERMISSION]
            role.save(update_fields=["permissions"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_roles")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
