"""The database keeps snapshots and the list of tested scans; a patient in the test set never leaves it."""

from webapp.core.triggers import Trigger, append_only, operations

IMMUTABLE = "a snapshot is never changed or removed"
LEFT_TEST = "OLD.part = 'test' AND NEW.part <> 'test'"

create, drop = operations(
    [
        *append_only("training_snapshot", IMMUTABLE),
        Trigger("training_testsetscan_no_delete", "training_testsetscan", "DELETE", IMMUTABLE),
        Trigger("training_patientsplit_stays", "training_patientsplit", "UPDATE", IMMUTABLE, LEFT_TEST),
    ]
)
