"""Analyses (one model version applied to one scan), their CAMs, and the worklist's summary of a study."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from classifier.contract import RELATIVE
from classifier.reasons import AbstentionReason
from webapp.core.jobs.queues import Queue
from webapp.core.jobs.table import JOB_TRANSITIONS, JobRow
from webapp.core.models import Record


class ScanResult(JobRow):
    """One model version's result on one scan. `finding` is empty when none is above its threshold."""

    QUEUE = Queue.INFER
    CLAIM_WITH = ("model_version", "scan__series__study__patient")
    BATCH_BY = "model_version_id"

    finding = models.CharField(max_length=64, blank=True)
    uncertainty = models.FloatField(null=True, validators=[MinValueValidator(0), MaxValueValidator(1)])
    probabilities = models.JSONField(default=dict)
    withheld = models.BooleanField(default=False)

    class Meta:
        abstract = True


class Analysis(ScanResult):
    """What readers see. `probabilities` (0 to 1 by finding) are kept when an abstention withholds them.

    `calibration` is the site calibration that made `probabilities`, `finding` and `uncertainty`; None: the
    model's own. With one, `model_output` keeps the model's own three.
    """

    scan = models.ForeignKey("scans.Scan", models.PROTECT, related_name="analyses")
    model_version = models.ForeignKey("registry.ModelVersion", models.PROTECT, related_name="analyses")
    abstention = models.CharField(
        max_length=32, blank=True, choices=[(r.value, r.value) for r in AbstentionReason]
    )
    seconds = models.FloatField(null=True)
    calibration = models.ForeignKey(
        "registry.SiteCalibration", models.PROTECT, null=True, blank=True, related_name="analyses"
    )
    model_output = models.JSONField(null=True, blank=True)
    # As in `classifier.contract.PredictionSet`; null for a model without prediction sets.
    prediction_set = models.JSONField(null=True, blank=True)
    # Codes of `classifier.reasons.ResultWarning`, and the `Measures` that they follow from.
    warnings = models.JSONField(default=list, blank=True)
    measures = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name_plural = "analyses"
        constraints = [
            JOB_TRANSITIONS.constraint("analysis_status"),
            models.UniqueConstraint(fields=["scan", "model_version"], name="analysis_once_a_model"),
            models.CheckConstraint(
                condition=models.Q(withheld=False, abstention="")
                | models.Q(withheld=True) & ~models.Q(abstention=""),
                name="analysis_withheld_with_reason",
            ),
            models.CheckConstraint(
                condition=models.Q(calibration=None, model_output__isnull=True)
                | models.Q(calibration__isnull=False, model_output__isnull=False),
                name="analysis_keeps_the_models_output",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "model_version", "created_at"], name="analysis_queue"),
            models.Index(fields=["-created_at", "-id"], name="analysis_newest"),
        ]

    def __str__(self) -> str:
        return f"analysis {self.id}"

    @property
    def own_probabilities(self) -> dict[str, float]:
        """The model's own probabilities, before any site calibration."""
        return self.model_output["probabilities"] if self.model_output else self.probabilities

    @property
    def own_finding(self) -> str:
        """The finding that the model reports by its own probabilities and thresholds."""
        return self.model_output["finding"] if self.model_output else self.finding

    @property
    def calibration_name(self) -> str:
        """`model` for the model's own calibration, else `site-` and the number of the site calibration."""
        return f"site-{self.calibration.number}" if self.calibration else "model"

    @property
    def thresholds(self) -> dict[str, float]:
        """The threshold of each finding that the result was made with."""
        spec = self.model_version.model_spec
        own = {finding: spec.threshold(finding) for finding in spec.findings}
        return own | (self.calibration.thresholds if self.calibration else {})


class ShadowAnalysis(ScanResult):
    """A shadow-mode candidate's result on a new scan, in a table that no reader's page queries."""

    scan = models.ForeignKey("scans.Scan", models.PROTECT, related_name="+")
    model_version = models.ForeignKey("registry.ModelVersion", models.PROTECT, related_name="shadows")

    class Meta:
        verbose_name_plural = "shadow analyses"
        constraints = [
            JOB_TRANSITIONS.constraint("shadow_analysis_status"),
            models.UniqueConstraint(fields=["scan", "model_version"], name="shadow_once_a_model"),
        ]
        indexes = [
            models.Index(fields=["status", "created_at"], name="shadow_queue"),
            models.Index(fields=["model_version", "-created_at"], name="shadow_newest"),
        ]

    def __str__(self) -> str:
        return f"shadow analysis {self.id}"


class AnalysisCam(models.Model):
    """The class activation maps of an analysis, as `classifier.contract.Cam.as_dict` writes them."""

    analysis = models.OneToOneField(Analysis, models.CASCADE, primary_key=True, related_name="stored_cam")
    cam = models.JSONField()

    def __str__(self) -> str:
        return f"cam of {self.analysis_id}"


class Explanation(JobRow):
    """Maps of all findings of an analysis by another explainer than its model's own; the row is the job.

    `cam` is as in `AnalysisCam`, each map on its own scale: it shows where, never how strongly.
    """

    QUEUE = Queue.INFER
    CLAIM_WITH = ("analysis__model_version", "analysis__scan__series__study__patient")

    analysis = models.ForeignKey(Analysis, models.CASCADE, related_name="explanations")
    method = models.CharField(max_length=16, choices=[(method, method) for method in RELATIVE])
    cam = models.JSONField(null=True)
    seconds = models.FloatField(null=True)

    class Meta:
        constraints = [
            JOB_TRANSITIONS.constraint("explanation_status"),
            models.UniqueConstraint(fields=["analysis", "method"], name="explanation_once_a_method"),
            models.CheckConstraint(
                condition=models.Q(status="done", cam__isnull=False)
                | ~models.Q(status="done") & models.Q(cam__isnull=True),
                name="explanation_done_with_map",
            ),
        ]
        indexes = [models.Index(fields=["status", "created_at"], name="explanation_queue")]

    def __str__(self) -> str:
        return f"explanation {self.id}"


class StudyStatus(models.TextChoices):
    """Least finished first: a study shows the first of these that any scan of it is in (see `summaries`)."""

    ANALYSING = "analysing"
    FAILED = "failed"
    WAITING = "waiting"
    ABSTAINED = "abstained"
    DONE = "done"


class Urgent(models.TextChoices):
    """What made a study urgent: a person, the priority in a DICOM header, or the site's rule."""

    HAND = "hand"
    DICOM = "dicom"
    RULE = "rule"


class StudySummary(models.Model):
    """The worklist's row: a study with the worst of its scans, kept in the transaction that changes them.

    `reason` is the error, waiting or abstention code behind the status. `probability` belongs to `finding`;
    when no finding reached its threshold it is that of the likeliest abnormal one. `severity` orders by what
    wants a look first: 2 + p of an abnormal finding, 1 + p where none reached its threshold, p of the
    likeliest abnormal one where the finding is `normal`, -1 without a result. `reader` signed the latest
    reading, at `read_at`. `who` and `number` are what the search looks through (`names`). `urgent`: by which
    rule the study is urgent, empty where it is not. `turn` orders what waits (`worklist.urgency`).
    `threshold` is that of `finding`, or of the likeliest abnormal one. `warnings`: codes of the result's.
    """

    Status = StudyStatus

    study = models.OneToOneField("scans.Study", models.CASCADE, primary_key=True, related_name="summary")
    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="+")
    status = models.CharField(max_length=16, choices=StudyStatus)
    finding = models.CharField(max_length=64, blank=True)
    probability = models.FloatField(null=True)
    threshold = models.FloatField(null=True)
    uncertainty = models.FloatField(null=True)
    prediction_set = models.JSONField(null=True, blank=True)
    warnings = models.JSONField(default=list, blank=True)
    reason = models.CharField(max_length=64, blank=True)
    scans = models.PositiveIntegerField()
    synthetic = models.BooleanField(default=False)
    worst_scan = models.ForeignKey("scans.Scan", models.SET_NULL, null=True, related_name="+")
    severity = models.FloatField(default=-1.0)
    modality = models.CharField(max_length=16, blank=True)
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    read_at = models.DateTimeField(null=True)
    urgent = models.CharField(max_length=8, blank=True, choices=Urgent, default="", db_default="")
    assigned = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    turn = models.FloatField(default=0.0, db_default=0.0)
    who = models.TextField(blank=True)
    number = models.CharField(max_length=64, blank=True)
    study_at = models.DateTimeField()
    latest_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "study summaries"
        indexes = [
            models.Index(fields=["-latest_at", "-study"], name="worklist_of_all_sites"),
            models.Index(fields=["site", "-latest_at"], name="worklist_newest"),
            models.Index(fields=["site", "status", "-latest_at"], name="worklist_by_status"),
            models.Index(fields=["site", "finding", "-latest_at"], name="worklist_by_finding"),
            models.Index(fields=["site", "modality", "-latest_at"], name="worklist_by_modality"),
            models.Index(fields=["site", "reader", "-latest_at"], name="worklist_by_reader"),
            models.Index(fields=["site", "probability"], name="worklist_by_probability"),
            models.Index(fields=["site", "-severity", "-study"], name="worklist_worst"),
            models.Index(fields=["site", "-uncertainty", "-study"], name="worklist_least_certain"),
            models.Index(fields=["site", "-study_at", "-study"], name="worklist_by_study_date"),
            models.Index(fields=["site", "turn", "study"], name="worklist_by_turn"),
            models.Index(
                fields=["site", "-latest_at"], condition=~models.Q(urgent=""), name="worklist_urgent"
            ),
            models.Index(
                fields=["site", "assigned", "-latest_at"],
                condition=models.Q(assigned__isnull=False),
                name="worklist_by_assigned",
            ),
        ]

    def __str__(self) -> str:
        return f"summary of {self.study_id}"


class SavedView(Record):
    """A person's named set of the worklist's filters and order; what was searched for is not kept in it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="worklist_views")
    name = models.CharField(max_length=60)
    search = models.JSONField(default=dict)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="view_once_a_name")]

    def __str__(self) -> str:
        return f"view {self.id}"


class StudyMark(Record):
    """A person's mark on a study, to find it again; nobody else sees it."""

    study = models.ForeignKey("scans.Study", models.CASCADE, related_name="marks")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="marks")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "study"], name="mark_once_a_person")]

    def __str__(self) -> str:
        return f"mark {self.id}"


class StudyTriage(models.Model):
    """What people decided of a study before it is read. `urgent` None: header and site rule decide."""

    study = models.OneToOneField("scans.Study", models.CASCADE, primary_key=True, related_name="triage")
    urgent = models.BooleanField(null=True)
    assigned = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    def __str__(self) -> str:
        return f"triage of {self.study_id}"


class StudyTag(Record):
    """A word on a study that all readers of the site see."""

    study = models.ForeignKey("scans.Study", models.CASCADE, related_name="tags")
    name = models.CharField(max_length=30)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["study", "name"], name="tag_once_a_study")]
        indexes = [models.Index(fields=["name", "study"], name="tag_by_name")]

    def __str__(self) -> str:
        return f"tag {self.id}"


class UrgencyRule(Record):
    """At this site a study whose reported finding has at least this probability is urgent."""

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="urgency_rules")
    finding = models.CharField(max_length=64)
    probability = models.FloatField(validators=[MinValueValidator(0), MaxValueValidator(1)])

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "finding"], name="urgency_once_a_finding")]

    def __str__(self) -> str:
        return f"urgency rule {self.id}"


class UrgentCase(Record):
    """An unread study became urgent. `mailed_at` is empty until its e-mails are sent."""

    study = models.ForeignKey("scans.Study", models.CASCADE, related_name="urgent_cases")
    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+")
    reason = models.CharField(max_length=8, choices=Urgent)
    mailed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["site", "-created_at"], name="urgent_case_newest"),
            models.Index(
                fields=["created_at"], condition=models.Q(mailed_at=None), name="urgent_case_to_mail"
            ),
        ]

    def __str__(self) -> str:
        return f"urgent case {self.id}"
