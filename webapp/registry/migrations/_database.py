"""Triggers: only a promotion makes a model active or inactive; site calibrations are append-only."""

from webapp.core.triggers import Trigger, append_only, operations

PROMOTED = """
NEW.status = 'active' AND EXISTS (
    SELECT 1 FROM registry_promotion p WHERE p.model_version_id = NEW.id AND NOT p.enacted)
OR OLD.status = 'active' AND EXISTS (
    SELECT 1 FROM registry_promotion p WHERE p.previous_id = OLD.id AND NOT p.enacted)
"""

CALIBRATIONS = "site calibrations are added, never changed or removed"

create, drop = operations(
    [
        *append_only("registry_sitecalibration", CALIBRATIONS),
        *append_only("registry_calibrationchange", CALIBRATIONS),
        Trigger(
            "registry_active_by_promotion",
            "registry_modelversion",
            "UPDATE OF status",
            "a model becomes active, or stops being active, by a promotion alone",
            when="NEW.status <> OLD.status AND (NEW.status = 'active' OR OLD.status = 'active')",
            unless=PROMOTED,
        )
    ]
)
