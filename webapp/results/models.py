"""Destinations of results, rules, the objects that were made, and one delivery job for each sending."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from webapp.core.jobs.queues import Queue
from webapp.core.jobs.table import JobRow, Transitions
from webapp.core.models import Record
from webapp.results.kinds import DestinationKind, ObjectKind, When, known_objects

MAX_ATTEMPTS = 10_000  # a delivery ends by age
AE_TITLE = RegexValidator(r"^[\x21-\x5b\x5d-\x7e]([\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?$")


class DeliveryStatus(models.TextChoices):
    """`failed`: given up, a dead letter until somebody sends it again or dismisses it."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DISMISSED = "dismissed"


DELIVERY_TRANSITIONS = Transitions(
    waiting="waiting",
    running="sending",
    failed="failed",
    moves={
        "waiting": frozenset({"sending", "dismissed"}),
        "sending": frozenset({"waiting", "delivered", "failed"}),
        "delivered": frozenset({"waiting"}),
        "failed": frozenset({"waiting", "dismissed"}),
        "dismissed": frozenset({"waiting"}),
    },
    max_attempts=MAX_ATTEMPTS,
)


class Destination(Record):
    """Where a site's results go. `url` for STOW-RS and FHIR; `host` and `port` for DICOM and HL7.

    `credential` names an entry of HILUM_RESULT_CREDENTIALS, so that no secret is stored. `version` counts the
    changes. While the receiver is down nothing is sent before `paused_until`; `failures` in a row make the
    pauses longer.
    """

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="destinations")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=8, choices=DestinationKind)
    url = models.URLField(max_length=500, blank=True)
    host = models.CharField(max_length=253, blank=True)
    port = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    called_ae = models.CharField(max_length=16, blank=True, validators=[AE_TITLE])
    calling_ae = models.CharField(max_length=16, blank=True, default="HILUM", validators=[AE_TITLE])
    tls = models.BooleanField(default=False)
    credential = models.CharField(max_length=64, blank=True)
    active = models.BooleanField(default=True)
    removed = models.BooleanField(default=False, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    paused_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["site", "name"], condition=Q(removed=False), name="destination_once_a_name"
            )
        ]

    def __str__(self) -> str:
        return f"destination {self.id}"

    @property
    def address(self) -> str:
        """Where it points, in one line."""
        if self.url:
            return self.url
        title = f"{self.called_ae}@" if self.called_ae else ""
        return f"{title}{self.host}:{self.port}{' (TLS)' if self.tls else ''}"


class Rule(Record):
    """Which results of a site go to a destination, as which objects, and when.

    `findings`: codes of reported findings, and NO_FINDING; empty: any. `withheld`: withheld results too.
    `kinds` of objects are used by destinations that take objects.
    """

    destination = models.ForeignKey(Destination, models.CASCADE, related_name="rules")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    when = models.CharField(max_length=16, choices=When)
    findings = models.JSONField(default=list, blank=True)
    withheld = models.BooleanField(default=True)
    kinds = models.JSONField(validators=[known_objects])

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"rule {self.id}"


class ResultObject(Record):
    """A DICOM object that was made of a result, with its file. Never changed; a later one supersedes it.

    `digest` is that of its content: the same content is the same object. `scan` None: about a whole study.
    `patient_id` and `issuer` are those that it states.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="result_objects")
    study = models.ForeignKey("scans.Study", models.SET_NULL, null=True, related_name="result_objects")
    scan = models.ForeignKey("scans.Scan", models.PROTECT, null=True, related_name="result_objects")
    analysis = models.ForeignKey("analysis.Analysis", models.PROTECT, null=True, related_name="+")
    reading = models.ForeignKey("labels.Reading", models.PROTECT, null=True, related_name="+")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    kind = models.CharField(max_length=16, choices=ObjectKind)
    digest = models.CharField(max_length=64)
    patient_id = models.CharField(max_length=64)
    issuer = models.CharField(max_length=64, blank=True)
    study_instance_uid = models.CharField(max_length=64)
    series_instance_uid = models.CharField(max_length=64)
    sop_class_uid = models.CharField(max_length=64)
    sop_instance_uid = models.CharField(max_length=64)
    number = models.PositiveIntegerField()
    made_at = models.DateTimeField()
    stored_name = models.CharField(max_length=120)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    supersedes = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )

    class Meta:
        ordering = ["made_at", "pk"]
        constraints = [
            # The image of an upload that was no DICOM file keeps its UID when it is filed elsewhere.
            models.UniqueConstraint(fields=["sop_instance_uid", "digest"], name="result_object_once")
        ]
        indexes = [
            models.Index(fields=["scan", "kind", "-made_at"], name="result_object_of_scan"),
            models.Index(fields=["site", "study_instance_uid"], name="result_object_of_study"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Cause(models.TextChoices):
    RULE = "rule"
    REQUEST = "request"
    CORRECTION = "correction"
    TEST = "test"


class ResultDelivery(JobRow):
    """Results of one scan, or of a study with its signed reading, to one destination; the row is the job.

    `key` makes each occasion one delivery. `kinds` are those of the objects; `accepted` the objects that the
    receiver has acknowledged, which no later attempt sends again; `rejects` earlier ones that it is to hide.
    `filed_as` is the patient and study that the results went out under (`filing_of`), once delivered.
    """

    TRANSITIONS = DELIVERY_TRANSITIONS
    QUEUE = Queue.SEND
    CLAIM_WITH = ("destination__site", "study", "scan", "analysis", "reading")
    Status = DeliveryStatus

    status = models.CharField(max_length=16, choices=DeliveryStatus, default=DeliveryStatus.WAITING)
    destination = models.ForeignKey(Destination, models.CASCADE, related_name="deliveries")
    cause = models.CharField(max_length=16, choices=Cause)
    key = models.CharField(max_length=100)
    study = models.ForeignKey("scans.Study", models.SET_NULL, null=True, related_name="+")
    scan = models.ForeignKey("scans.Scan", models.CASCADE, null=True, related_name="+")
    analysis = models.ForeignKey("analysis.Analysis", models.CASCADE, null=True, related_name="+")
    reading = models.ForeignKey("labels.Reading", models.CASCADE, null=True, related_name="+")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    kinds = models.JSONField(default=list)
    rejects = models.ManyToManyField(ResultObject, related_name="+")
    accepted = models.ManyToManyField(ResultObject, related_name="deliveries")
    filed_as = models.CharField(max_length=255, blank=True)
    next_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "result deliveries"
        constraints = [
            DELIVERY_TRANSITIONS.constraint("result_delivery_status"),
            models.UniqueConstraint(fields=["destination", "key"], name="result_delivery_once"),
        ]
        indexes = [
            models.Index(fields=["status", "next_at"], name="result_delivery_queue"),
            models.Index(fields=["destination", "study", "created_at"], name="result_delivery_order"),
            models.Index(fields=["destination", "-created_at", "-id"], name="result_delivery_newest"),
        ]

    def __str__(self) -> str:
        return f"result delivery {self.id}"


class DeliveryAttempt(Record):
    """The log of a delivery: how many objects the receiver accepted, its response, or the error."""

    delivery = models.ForeignKey(ResultDelivery, models.CASCADE, related_name="tries")
    accepted = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=64, blank=True)
    problem = models.CharField(max_length=300, blank=True)
    seconds = models.FloatField()

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"attempt {self.id}"
