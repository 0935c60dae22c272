"""The audit log: who did or saw what, when. Rows are added, never changed or removed.

Database triggers refuse everything else and chain the events of a site (`AuditLink`), so that
`manage.py verify_audit_log` finds what was done past them.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models

from webapp.audit.signing import digest_of
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
        objs = list(objs)
        for event in objs:
            event.digest = digest_of(event)
        return super().bulk_create(objs, *args, **kwargs)

    def bulk_update(self, objs, fields, batch_size=None):
        raise AppendOnly("audit events are never changed")


class Channel(models.TextChoices):
    """How somebody came to act."""

    PAGE = "page", "Page"
    API = "api", "API"
    ADMIN = "admin", "Administration"
    COMMAND = "command", "Command"
    SYSTEM = "system", "System"


class AuditEvent(Record):
    """One act. `subject` is `app.model:uuid`; `detail` holds codes and ids: no patient data, no free text.

    `patient` is the id of the patient whose data it was about, and no foreign key: the event outlives the
    patient's record. `digest` is the event's own (`signing.digest_of`), made as it is saved.
    """

    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    site = models.ForeignKey(
        "accounts.Site", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    patient = models.UUIDField(null=True, blank=True)
    action = models.CharField(max_length=64)
    subject = models.CharField(max_length=120, blank=True)
    detail = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=36, blank=True)
    address = models.CharField(max_length=45, blank=True)
    channel = models.CharField(max_length=8, choices=Channel, default=Channel.SYSTEM)
    digest = models.CharField(max_length=64, default="", editable=False)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="audit_newest"),
            models.Index(fields=["site", "-created_at", "-id"], name="audit_by_site"),
            # With what "who saw this patient" counts, so that PostgreSQL reads it from the index alone.
            models.Index(
                fields=["patient", "-created_at", "-id"], include=["actor", "site"], name="audit_by_patient"
            ),
            models.Index(fields=["subject", "-created_at"], name="audit_by_subject"),
            models.Index(fields=["action", "-created_at", "-id"], name="audit_by_action"),
            models.Index(fields=["actor", "-created_at", "-id"], name="audit_by_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"

    def save(self, *args, **kwargs):
        if not self._state.adding:
            raise AppendOnly("audit events are never changed")
        self.digest = digest_of(self)
        super().save(*args, **kwargs)

    def delete(self, *args, **kwargs):
        raise AppendOnly("audit events are never removed")


class AuditLink(models.Model):
    """The place of an event in the chain of its site, written by the database as the event is committed."""

    event_id = models.UUIDField(primary_key=True, editable=False)
    chain = models.CharField(max_length=32, editable=False)
    number = models.PositiveBigIntegerField(editable=False)
    link = models.CharField(max_length=64, editable=False)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["chain", "number"], name="audit_number_once_a_chain")]

    def __str__(self) -> str:
        return f"{self.chain} {self.number}"


class AuditChain(models.Model):
    """The end of a chain: how many events it has, and the last link. Kept by the database."""

    chain = models.CharField(primary_key=True, max_length=32, editable=False)
    length = models.PositiveBigIntegerField(default=0, editable=False)
    head = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.chain} {self.length}"
