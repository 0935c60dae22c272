"""The audit log: who did what to which record, when. Rows are added, never changed or removed."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from webapp.core.models import Record


class AppendOnly(TypeError):
    """Somebody tried to change or remove what may only be added to."""


class AppendOnlyQuerySet(models.QuerySet):
    def update(self, **values):
        raise AppendOnly("audit events are never changed")

    def delete(self):
        raise AppendOnly("audit events are never removed")

    def bulk_create(self, objs, *args, update_conflicts=False, **kwargs):
        if update_conflicts:
            raise AppendOnly("audit events are never changed")
        return super().bulk_create(objs, *args, **kwargs)

    def bulk_update(self, objs, fields, batch_size=None):
        raise AppendOnly("audit events are never changed")


class AuditEvent(Record):
    """One act. `subject` is `app.model:uuid`; `detail` holds codes and ids: no patient data, no free text."""

    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    site = models.ForeignKey(
        "accounts.Site", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    action = models.CharField(max_length=64)
    subject = models.CharField(max_length=120, blank=True)
    detail = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=36, blank=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["site", "-created_at"], name="audit_by_site"),
            models.Index(fields=["subject", "-created_at"], name="audit_by_subject"),
            models.Index(fields=["site", "action", "-created_at"], name="audit_by_action"),
            models.Index(fields=["site", "actor", "-created_at"], name="audit_by_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"

    def save(self, *args, **kwargs):
        if not self._state.adding:
            raise AppendOnly("audit events are never changed")
        super().save(*args, **kwargs)

    def delete(self, *args, **kwargs):
        raise AppendOnly("audit events are never removed")
