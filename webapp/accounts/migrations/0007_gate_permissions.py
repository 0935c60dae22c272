"""Administrators may write the gate's policy, and decide against the gate with a reason."""

from django.db import migrations

PERMISSIONS = ("model.override", "gate.edit")


def grant(apps, schema_editor):
    for role in apps.get_model("accounts", "Role").objects.filter(name="admin"):
        role.permissions = [*role.permissions, *(p for p in PERMISSIONS if p not in role.permissions)]
        role.save(update_fields=["permissions"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_label_permissions")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
