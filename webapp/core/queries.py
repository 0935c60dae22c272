"""Looking rows up; the request remembers what it has read, for the audit log."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from webapp.core.errors import CodedError
from webapp.core.http.current import note_read

M = TypeVar("M", bound=Model)


def get_or_404(visible: QuerySet[M], key: UUID) -> M:
    """The row with this key; raises CodedError `not_found`, also for rows that the user may not see."""
    row = visible.filter(pk=key).first()
    if row is None:
        raise CodedError("not_found")
    note_read(row)
    return row
