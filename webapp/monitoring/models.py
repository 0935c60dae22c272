"""What monitoring keeps: traits of answered images, verdicts of people, references, rounds and alarms."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from webapp.core.jobs.table import StatusRow, Transitions
from webapp.core.models import Record
from webapp.monitoring.kinds import Kind

COMMENT_AT_MOST = 1000


class Observation(models.Model):
    """What is kept of one answered analysis, in the order of `at`: numbers of which no image can be made.

    `pixels` and `features` are `classifier.drift.descriptors.Traits`; empty for analyses made before
    these were kept. The groups are as they were then, empty where unknown.
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


class VerdictSource(models.TextChoices):
    READING = "reading"
    LABEL = "label"


class Verdict(Record):
    """What people said of an image that a model had answered, held against the answer.

    `at` is when monitoring first learned of it. `overrides`: it contradicts the finding that the model
    reported; None where the model reported none or what was said leaves it open. `truth`: finding to whether
    it is there, of labels alone, without the unknown ones; `loss` is the mean squared distance of the
    probabilities from it.
    """

    Source = VerdictSource

    analysis = models.ForeignKey("analysis.Analysis", models.CASCADE, related_name="verdicts")
    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+")
    model_version = models.ForeignKey("registry.ModelVersion", models.CASCADE, related_name="+")
    source = models.CharField(max_length=16, choices=VerdictSource)
    at = models.DateTimeField()
    overrides = models.BooleanField(null=True)
    truth = models.JSONField(default=dict)
    loss = models.FloatField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["analysis", "source"], name="verdict_once_a_source")]
        indexes = [
            models.Index(fields=["site", "model_version", "source", "at", "id"], name="verdict_stream")
        ]

    def __str__(self) -> str:
        return f"verdict {self.id}"


class Looked(models.Model):
    """How far a site's readings or labels have been turned into verdicts: up to this one."""

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+")
    source = models.CharField(max_length=16, choices=VerdictSource)
    at = models.DateTimeField()
    key = models.UUIDField()

    class Meta:
        verbose_name_plural = "looked"
        constraints = [models.UniqueConstraint(fields=["site", "source"], name="looked_once_a_source")]

    def __str__(self) -> str:
        return f"{self.source}s of {self.site_id} up to {self.at}"


class Baseline(Record):
    """The reference that a chart's stream is held against: the first cases after it was begun.

    `data` is a `classifier.drift.martingale.Reference`. The stream goes on behind `until` and
    `until_key`. `begun_by` None: the system began it with the version. An ended one is followed by
    another from `resumes` on.
    """

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+")
    model_version = models.ForeignKey("registry.ModelVersion", models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind)
    cases = models.PositiveIntegerField()
    data = models.JSONField()
    since = models.DateTimeField()
    until = models.DateTimeField()
    until_key = models.UUIDField()
    begun_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True)
    resumes = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "model_version", "kind"],
                condition=Q(ended_at=None),
                name="baseline_one_in_force",
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


class Round(Record):
    """A stretch of a chart's stream, behind `after` and `after_key`, in which one capital is at stake.

    `capital` is how much the bets against "nothing has changed" have made of 1, `highest` the most so far,
    `points` [[moment, log10 of the capital], ...] a drawing of it, `by_score` what each score made.
    """

    baseline = models.ForeignKey(Baseline, models.CASCADE, related_name="rounds")
    number = models.PositiveIntegerField()
    after = models.DateTimeField()
    after_key = models.UUIDField()
    cases = models.PositiveIntegerField(default=0)
    latest = models.DateTimeField(null=True)
    latest_key = models.UUIDField(null=True)
    capital = models.FloatField(default=1.0)
    highest = models.FloatField(default=1.0)
    points = models.JSONField(default=list)
    by_score = models.JSONField(default=dict)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["baseline", "number"], name="round_once_a_number")]

    def __str__(self) -> str:
        return f"round {self.number} of baseline {self.baseline_id}"


class Summary(models.Model):
    """The numbers of the page for one site and model version, as they were last computed."""

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+")
    model_version = models.ForeignKey("registry.ModelVersion", models.CASCADE, related_name="+")
    at = models.DateTimeField()
    body = models.JSONField()

    class Meta:
        verbose_name_plural = "summaries"
        constraints = [
            models.UniqueConstraint(fields=["site", "model_version"], name="summary_once_a_version")
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
    """A chart's capital reached the limit. `since`: the moment from which on cases seem to be different.

    `detail`: `score` (which number leads), `was` and `is` (its mean in the reference, and since the change),
    `capital`, `cases` (since the change).
    """

    TRANSITIONS = ALARM_TRANSITIONS
    Status = AlarmStatus

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="alarms")
    model_version = models.ForeignKey("registry.ModelVersion", models.PROTECT, null=True, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind)
    round = models.OneToOneField(Round, models.SET_NULL, null=True, related_name="alarm")
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


class Act(models.TextChoices):
    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    COMMENTED = "commented"
    CLOSED = "closed"


class AlarmEvent(Record):
    """A line of an alarm's trail, which triggers of the database keep. `by` None: the system.

    `outcome` says how it was closed: `passed`, `accepted` (the change is the new reference), `retired`.
    """

    Act = Act

    alarm = models.ForeignKey(Alarm, models.PROTECT, related_name="trail")
    act = models.CharField(max_length=16, choices=Act)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    comment = models.CharField(max_length=COMMENT_AT_MOST, blank=True)
    outcome = models.CharField(max_length=16, blank=True)

    class Meta:
        ordering = ["created_at", "id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.act} alarm {self.alarm_id}"
