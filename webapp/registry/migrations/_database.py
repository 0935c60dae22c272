"""Triggers: only a promotion makes a model active or inactive."""

from webapp.core.triggers import Trigger, operations

PROMOTED = """
NEW.status = 'active' AND EXISTS (
    SELECT 1 FROM registry_promotion p WHERE p.model_version_id = NEW.id AND NOT p.enacted)
OR OLD.status = 'active' AND EXISTS (
    SELECT 1 FROM registry_promotion p WHERE p.previous_id = OLD.id AND NOT p.enacted)
"""

create, drop = operations(
    [
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
