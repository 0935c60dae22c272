"""Webhook subscriptions of a site, events, and one delivery job for each subscription."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from webapp.core.jobs.queues import Queue
from webapp.core.jobs.table import JobRow, Transitions
from webapp.core.models import Record
from webapp.webhooks.kinds import KINDS, SUBSCRIBABLE

MAX_ATTEMPTS = 10_000  # a delivery ends by age, after a week


class DeliveryStatus(models.TextChoices):
    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


DELIVERY_TRANSITIONS = Transitions(
    waiting="waiting",
    running="sending",
    failed="failed",
    moves={
        "waiting": frozenset({"sending"}),
        "sending": frozenset({"waiting", "delivered", "failed"}),
        "delivered": frozenset({"waiting"}),
        "failed": frozenset({"waiting"}),
    },
    max_attempts=MAX_ATTEMPTS,
)


def known_kinds(value: object) -> None:
    """Validator of a JSON list of kinds; raises ValidationError."""
    if not isinstance(value, list) or not value or set(value) - set(SUBSCRIBABLE):
        raise ValidationError("Only these kinds exist: " + ", ".join(SUBSCRIBABLE))


class Subscription(Record):
    """An address that receives a site's events.

    Its secret is derived (`signing`), never stored; `secret_version` counts the changes of it. While the
    receiver is down nothing is sent before `paused_until`; `failures` in a row make the pauses longer.
    `ended`: why it was disabled automatically.
    """

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="webhooks")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    url = models.URLField(max_length=500)
    kinds = models.JSONField(validators=[known_kinds])
    description = models.CharField(max_length=200, blank=True)
    active = models.BooleanField(default=True)
    ended = models.CharField(max_length=32, blank=True, editable=False)
    secret_version = models.PositiveIntegerField(default=1, editable=False)
    secret_changed_at = models.DateTimeField(null=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    paused_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        indexes = [models.Index(fields=["site", "-created_at", "-id"], name="webhook_newest")]

    def __str__(self) -> str:
        return f"webhook {self.id}"


class Event(models.Model):
    """What happened to `subject`, in the order of `number`. `data`: ids and codes, nothing of a patient."""

    number = models.BigAutoField(primary_key=True)
    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+")
    kind = models.CharField(max_length=32, choices=KINDS)
    subject = models.UUIDField()
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="webhook_event_age")]

    def __str__(self) -> str:
        return f"event {self.number}"


class Delivery(JobRow):
    """One event for one subscription. Its id is the message's: the same at every attempt."""

    TRANSITIONS = DELIVERY_TRANSITIONS
    QUEUE = Queue.NOTIFY
    CLAIM_WITH = ("subscription", "event")
    Status = DeliveryStatus

    status = models.CharField(max_length=16, choices=DeliveryStatus, default=DeliveryStatus.WAITING)
    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="deliveries")
    event = models.ForeignKey(Event, models.CASCADE, related_name="deliveries")
    subject = models.UUIDField()
    next_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            DELIVERY_TRANSITIONS.constraint("delivery_status"),
            models.UniqueConstraint(fields=["subscription", "event"], name="delivery_once"),
        ]
        indexes = [
            models.Index(fields=["status", "next_at"], name="delivery_queue"),
            models.Index(fields=["subscription", "subject", "event"], name="delivery_order"),
            models.Index(fields=["subscription", "-created_at", "-id"], name="delivery_newest"),
        ]

    def __str__(self) -> str:
        return f"delivery {self.id}"


class Attempt(Record):
    """The delivery log: the receiver's response (None: none), its duration, or the error."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="tries")
    response_status = models.PositiveSmallIntegerField(null=True)
    error_code = models.CharField(max_length=32, blank=True)
    seconds = models.FloatField()

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"attempt {self.id}"
