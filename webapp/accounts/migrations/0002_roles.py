"""The three roles that Hilum starts with; administrators may add others."""

from django.db import migrations

CLINICIAN = ["scan.upload", "scan.view", "scan.label", "scan.move", "model.view"]
ROLES = {
    "clinician": CLINICIAN,
    "admin": [*CLINICIAN, "model.promote", "training.start", "users.manage", "audit.view"],
    "auditor": ["audit.view"],
}


def add_roles(apps, schema_editor):
    role = apps.get_model("accounts", "Role")
    for name, permissions in ROLES.items():
        role.objects.get_or_create(name=name, defaults={"permissions": permissions})


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(add_roles, migrations.RunPython.noop)]
