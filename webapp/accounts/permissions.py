"""The permissions that a role may name; every check in the project is for one of these."""

from __future__ import annotations

from enum import StrEnum

from django.core.exceptions import ValidationError


class Permission(StrEnum):
    SCAN_UPLOAD = "scan.upload"
    SCAN_VIEW = "scan.view"
    SCAN_LABEL = "scan.label"
    SCAN_MOVE = "scan.move"
    PATIENT_MERGE = "patient.merge"
    MODEL_VIEW = "model.view"
    MODEL_PROMOTE = "model.promote"
    MODEL_OVERRIDE = "model.override"
    PROMOTION_POLICY_EDIT = "promotion_policy.edit"
    CALIBRATION_MANAGE = "calibration.manage"
    TRAINING_START = "training.start"
    USERS_MANAGE = "users.manage"
    AUDIT_VIEW = "audit.view"
    WEBHOOK_MANAGE = "webhook.manage"
    LABEL_MANAGE = "label.manage"
    LABEL_ADJUDICATE = "label.adjudicate"
    ALARM_MANAGE = "alarm.manage"
    RESULT_SEND = "result.send"
    RESULT_MANAGE = "result.manage"


def known_permissions(value: object) -> None:
    """Validator of a JSON list of permission names; raises ValidationError."""
    if not isinstance(value, list) or set(value) - set(Permission):
        raise ValidationError("Only these permissions exist: " + ", ".join(Permission))
