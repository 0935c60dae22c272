"""A skip is a statement of its reader: the database itself refuses to change or remove one."""

from webapp.core.triggers import append_only, operations

create, drop = operations(append_only("labels_queueskip", "skips are added, never changed or removed"))
