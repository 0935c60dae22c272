"""The three roles that a new installation has; administrators may add others."""

CLINICIAN = ["scan.upload", "scan.view", "scan.label", "scan.move", "model.view", "result.send"]
ADMIN = ["model.promote", "model.override", "promotion_policy.edit", "training.start", "label.manage", "label.adjudicate"]
ADMIN += ["calibration.manage", "patient.merge", "webhook.manage", "result.manage", "alarm.manage", "users.manage", "audit.view"]
ROLES = {"clinician": CLINICIAN, "admin": [*CLINICIAN, *ADMIN], "auditor": ["audit.view"]}


def create(apps, schema_editor):
    role = apps.get_model("accounts", "Role")
    for name, permissions in ROLES.items():
        role.objects.get_or_create(name=name, defaults={"permissions": permissions})


def drop(apps, schema_editor):
    """The roles go with their table."""
