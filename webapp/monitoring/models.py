"""Observations of analysed images, reader feedback on them, baselines, monitoring runs and alarms."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from webapp.core.jobs.table import StatusRow, Transitions
from webapp.core.models import Record
from webapp.monitoring.kinds import Signal

COMMENT_AT_MOST = 1000


class Observation(models.Model):
    """Descriptors of one finished analysis, ordered by `at`; no image can be reconstructed from them.

    `pixels` and `features` are empty for analyses made before these were kept. The groups are as they were
    then, empty if unknown.
    """

    analysis = models.OneToOneField(
        "analysis.Analysis", models.CASCADE, primary_key=True, related_name="observation"
    )
    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+")
    model_version = models.ForeignKey("registry.ModelVersion", models.CASCADE, related_name="+")
    at = models.DateTimeField()
    pixels = models.JSONField(default=list)
    features = models.JSONField(default=list)
    withheld = models.BooleanField(default=False)
    finding = models.CharField(max_length=64, blank=True)
    manufacturer = models.CharField(max_length=64, blank=True)
    view = models.CharField(max_length=16, blank=True)
    sex = models.CharField(max_length=16, blank=True)
    age = models.CharField(max_length=16, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["site", "model_version", "at", "analysis"], name="observation_stream")
        ]

    def __str__(self) -> str:
        return f"observation of {self.analysis_id}"


class FeedbackSource(models.TextChoices):
    READING = "reading"
    LABEL = "label"


class ReaderFeedback(Record):
    """A reading or label of an analysed image, compared with the model's result.

    `at` is when monitoring first saw it. `overrides`: it contradicts the finding that the model reported;
    None if the model reported none or the reader left it open. `ground_truth` (labels only): known findings
    to whether they are present; `loss` is the Brier score against it.
    """

    Source = FeedbackSource

    analysis = models.ForeignKey("analysis.Analysis", models.CASCADE, related_name="reader_feedback")
    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+")
    model_version = models.ForeignKey("registry.ModelVersion", models.CASCADE, related_name="+")
    source = models.CharField(max_length=16, choices=FeedbackSource)
    at = models.DateTimeField()
    overrides = models.BooleanField(null=True)
    ground_truth = models.JSONField(default=dict)
    loss = models.FloatField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["analysis", "source"], name="feedback_once_a_source")]
        indexes = [
            models.Index(fields=["site", "model_version", "source", "at", "id"], name="feedback_stream")
        ]

    def __str__(self) -> str:
        return f"feedback {self.id}"


class FeedbackCursor(models.Model):
    """The last reading or label of a site that was turned into reader feedback."""

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+")
    source = models.CharField(max_length=16, choices=FeedbackSource)
    at = models.DateTimeField()
    key = models.UUIDField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "source"], name="feedback_cursor_once")]

    def __str__(self) -> str:
        return f"{self.source}s of {self.site_id} up to {self.at}"


class Baseline(Record):
    """The first cases of a signal at a site, which later cases are compared with.

    `data` is what `classifier.drift.martingale` fitted. Monitoring continues after `until` and
    `until_key`. After an accepted change the next baseline starts at `resumes`.
    """

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+")
    model_version = models.ForeignKey("registry.ModelVersion", models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=16, choices=Signal)
    cases = models.PositiveIntegerField()
    data = models.JSONField()
    since = models.DateTimeField()
    until = models.DateTimeField()
    until_key = models.UUIDField()
    ended_at = models.DateTimeField(null=True)
    resumes = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "model_version", "kind"],
                condition=Q(ended_at=None),
                name="baseline_one_current",
            ),
            # Two unknown versions are not the same to a database.
            models.UniqueConstraint(
                fields=["site", "kind"],
                condition=Q(ended_at=None, model_version=None),
                name="baseline_one_without_version",
            ),
        ]

    def __str__(self) -> str:
        return f"baseline {self.id}"


class MonitoringRun(Record):
    """One run of the conformal test martingale over the cases after `after` and `after_key`.

    `martingale` starts at 1; `max_martingale` is its maximum so far, `points` [[time, log10 value], ...] its
    course, `by_score` the value of each score's martingale.
    """

    baseline = models.ForeignKey(Baseline, models.CASCADE, related_name="runs")
    number = models.PositiveIntegerField()
    after = models.DateTimeField()
    after_key = models.UUIDField()
    cases = models.PositiveIntegerField(default=0)
    latest = models.DateTimeField(null=True)
    latest_key = models.UUIDField(null=True)
    martingale = models.FloatField(default=1.0)
    max_martingale = models.FloatField(default=1.0)
    points = models.JSONField(default=list)
    by_score = models.JSONField(default=dict)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["baseline", "number"], name="monitoring_run_once_a_number")
        ]

    def __str__(self) -> str:
        return f"run {self.number} of baseline {self.baseline_id}"


class MonitoringSummary(models.Model):
    """The figures of the monitoring page for one site and model version, as last computed."""

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+")
    model_version = models.ForeignKey("registry.ModelVersion", models.CASCADE, related_name="+")
    at = models.DateTimeField()
    body = models.JSONField()

    class Meta:
        verbose_name_plural = "summaries"
        constraints = [
            models.UniqueConstraint(fields=["site", "model_version"], name="monitoring_summary_once")
        ]

    def __str__(self) -> str:
        return f"summary of {self.model_version_id} at {self.site_id}"


class AlarmStatus(models.TextChoices):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


ALARM_TRANSITIONS = Transitions(
    moves={
        "open": frozenset({"acknowledged", "closed"}),
        "acknowledged": frozenset({"closed"}),
        "closed": frozenset(),
    }
)


class Alarm(StatusRow):
    """A martingale reached the alarm limit. `since`: the estimated time of the change.

    `detail`: `score` (which changed most), `was` and `is` (its mean in the baseline and since the change),
    `martingale`, `cases` (since the change).
    """

    TRANSITIONS = ALARM_TRANSITIONS
    Status = AlarmStatus

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="alarms")
    model_version = models.ForeignKey("registry.ModelVersion", models.PROTECT, null=True, related_name="+")
    kind = models.CharField(max_length=16, choices=Signal)
    run = models.OneToOneField(MonitoringRun, models.SET_NULL, null=True, related_name="alarm")
    status = models.CharField(max_length=16, choices=AlarmStatus, default=AlarmStatus.OPEN)
    since = models.DateTimeField()
    detail = models.JSONField(default=dict)
    mailed_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            ALARM_TRANSITIONS.constraint("alarm_status"),
            models.UniqueConstraint(
                fields=["site", "model_version", "kind"],
                condition=~Q(status="closed"),
                name="alarm_one_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["site", "kind"],
                condition=~Q(status="closed") & Q(model_version=None),
                name="alarm_one_without_version",
            ),
        ]
        indexes = [models.Index(fields=["site", "-created_at", "-id"], name="alarm_newest")]

    def __str__(self) -> str:
        return f"alarm {self.id}"


class AlarmAction(models.TextChoices):
    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    COMMENTED = "commented"
    CLOSED = "closed"


class AlarmEvent(Record):
    """One entry of an alarm's history, made append-only by database triggers. `by` None: the system.

    `outcome` of a closed alarm: `passed`, `accepted` (the change is the new baseline) or `retired`.
    """

    alarm = models.ForeignKey(Alarm, models.PROTECT, related_name="history")
    action = models.CharField(max_length=16, choices=AlarmAction)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    comment = models.CharField(max_length=COMMENT_AT_MOST, blank=True)
    outcome = models.CharField(max_length=16, blank=True)

    class Meta:
        ordering = ["created_at", "id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.action} alarm {self.alarm_id}"
