"""What every row has: a random id that says nothing, and the moment it was made."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone


class Record(models.Model):
    """Base of Hilum's tables: UUID4 primary key `id` and `created_at` (UTC)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True
