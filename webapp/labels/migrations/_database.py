"""Readings, labels and marks are evidence: the database itself refuses to change or remove one."""

from webapp.core.triggers import append_only, operations

READINGS = "readings are added, never changed or removed"
IMPRESSIONS = "first impressions are added, never changed or removed"
LABELS = "labels are added, never changed or removed"
MARKS = "marks are added, never changed or removed"

create, drop = operations(
    [
        *append_only("labels_reading", READINGS),
        *append_only("labels_readscan", READINGS),
        *append_only("labels_firstimpression", IMPRESSIONS),
        *append_only("labels_label", LABELS),
        *append_only("labels_imagemark", MARKS),
    ]
)
