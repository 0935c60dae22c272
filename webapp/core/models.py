"""The base of every table, the workers' reports of their presence, and stored files that are lost."""

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


class WorkerPresence(models.Model):
    """A worker (its Celery node name) that serves a queue, and when it last reported."""

    queue = models.CharField(max_length=16)
    node = models.CharField(max_length=255)
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "worker presence"
        constraints = [models.UniqueConstraint(fields=["queue", "node"], name="worker_once_a_queue")]

    def __str__(self) -> str:
        return f"{self.node} on {self.queue}"


class FileProblem(Record):
    """A stored file that a row names and that was found to be missing or damaged, until it is whole again."""

    class Kind(models.TextChoices):
        MISSING = "missing"
        DAMAGED = "damaged"

    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=8, choices=Kind)

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"
