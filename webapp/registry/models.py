"""Model versions, their comparisons and promotions."""

from __future__ import annotations

import json

from django.conf import settings
from django.db import models
from django.db.models import Q

from classifier.contract import ModelSpec, Slot
from webapp.core.jobs.queues import Queue
from webapp.core.jobs.table import JOB_TRANSITIONS, JobRow, JobStatus, StatusRow, Transitions
from webapp.core.models import Record


class ModelStatus(models.TextChoices):
    CANDIDATE = "candidate"
    ACTIVE = "active"
    RETIRED = "retired"
    REJECTED = "rejected"


MODEL_TRANSITIONS = Transitions(
    moves={
        "candidate": frozenset({"active", "rejected"}),
        "active": frozenset({"retired"}),
        "retired": frozenset({"active", "rejected"}),
        "rejected": frozenset(),
    }
)


class ModelVersion(StatusRow):
    """One artifact, identified by its sha256. `site` owns it; None: global, as after a promotion.

    Only a promotion changes `status` to or from `active`: database triggers enforce it.
    `shadow`: a candidate that also scores new scans, without showing results to readers.
    """

    TRANSITIONS = MODEL_TRANSITIONS
    Status = ModelStatus

    slot = models.CharField(max_length=16, choices=[(slot.value, slot.value) for slot in Slot])
    name = models.CharField(max_length=100)
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=16, choices=ModelStatus, default=ModelStatus.CANDIDATE)
    stored_name = models.CharField(max_length=120, editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    size = models.PositiveBigIntegerField(editable=False)
    spec = models.JSONField(editable=False)
    card = models.JSONField(default=dict, editable=False)
    shipped = models.BooleanField(default=False, editable=False)
    shadow = models.BooleanField(default=False, editable=False)
    site = models.ForeignKey("accounts.Site", models.PROTECT, null=True, blank=True, related_name="models")
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="models_registered"
    )

    class Meta:
        constraints = [
            MODEL_TRANSITIONS.constraint("model_status"),
            models.UniqueConstraint(fields=["sha256"], name="model_once"),
            models.UniqueConstraint(fields=["slot", "number"], name="model_number_once_a_slot"),
            models.UniqueConstraint(
                fields=["slot"], condition=Q(status="active"), name="model_one_active_a_slot"
            ),
            models.CheckConstraint(
                condition=Q(shadow=False) | Q(status="candidate"), name="model_shadow_is_candidate"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.slot}-{self.number}"

    @property
    def model_spec(self) -> ModelSpec:
        return ModelSpec.from_json(json.dumps(self.spec))


class PromotionPolicy(Record):
    """One version of the promotion gate's rules; the highest number is current."""

    number = models.PositiveIntegerField(unique=True)
    rules = models.JSONField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)

    class Meta:
        ordering = ["-number"]
        verbose_name_plural = "promotion policies"

    def __str__(self) -> str:
        return f"promotion policy {self.number}"


class Comparison(JobRow):
    """A candidate compared with the active model on a fixed test set, and the outcome of the promotion gate.

    `manifest_name` is the stored manifest, `fingerprint` its hash. `report` is the output of `python -m
    classifier compare` without `changes`, plus `excluded`: test cases left out because a model was
    trained on them. `passed` None with status `done`: unjudged. The policy is kept as applied (number 0:
    the default).
    """

    QUEUE = Queue.TRAIN
    CLAIM_WITH = ("candidate", "active", "site")

    candidate = models.ForeignKey(ModelVersion, models.PROTECT, related_name="comparisons")
    active = models.ForeignKey(ModelVersion, models.PROTECT, null=True, blank=True, related_name="+")
    site = models.ForeignKey("accounts.Site", models.PROTECT, null=True, blank=True, related_name="+")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    manifest_name = models.CharField(max_length=120)
    fingerprint = models.CharField(max_length=64)
    policy_number = models.PositiveIntegerField(null=True, editable=False)
    policy = models.JSONField(default=dict, editable=False)
    report = models.JSONField(default=dict, editable=False)
    changes = models.JSONField(default=list, editable=False)
    passed = models.BooleanField(null=True, editable=False)
    reasons = models.JSONField(default=list, editable=False)
    notes = models.JSONField(default=list, editable=False)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            JOB_TRANSITIONS.constraint("comparison_status"),
            models.CheckConstraint(
                condition=Q(status="done") | Q(passed__isnull=True), name="comparison_judged_when_done"
            ),
        ]
        indexes = [models.Index(fields=["candidate", "-created_at"], name="comparison_newest")]

    def __str__(self) -> str:
        return f"comparison {self.id}"

    @property
    def outcome(self) -> str | None:
        """`passed`, `failed` or `unjudged`; None until it is done."""
        if self.status != JobStatus.DONE:
            return None
        return {True: "passed", False: "failed", None: "unjudged"}[self.passed]


class Promotion(Record):
    """A model version became the active one of its slot. `by` None: by installation.

    `comparison` is the one that it rests on; `overridden`: promoted although it had not passed. `enacted`
    is False only within the transaction of the promotion: the triggers allow the change of status only then.
    """

    model_version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="promotions")
    previous = models.ForeignKey(ModelVersion, models.PROTECT, null=True, blank=True, related_name="+")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="promotions"
    )
    reason = models.CharField(max_length=500)
    comparison = models.ForeignKey(Comparison, models.PROTECT, null=True, blank=True, related_name="+")
    overridden = models.BooleanField(default=False)
    enacted = models.BooleanField(default=True, editable=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"promotion {self.id}"


class SiteCalibration(Record):
    """One site's calibration of one model version: fitted numbers, never changed; a new one is a new row.

    `choices` is what the administrator asked for, `correction` a `classifier.evaluation.site` Correction,
    `thresholds` those of every finding, `report` the preview on which it was decided. the latest
    `CalibrationChange` names the one in use.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="calibrations")
    model_version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="calibrations")
    number = models.PositiveIntegerField()
    choices = models.JSONField()
    correction = models.JSONField()
    thresholds = models.JSONField()
    report = models.JSONField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["site", "model_version", "number"], name="calibration_number_once_a_site"
            )
        ]

    def __str__(self) -> str:
        return f"site calibration {self.number}"


class CalibrationChange(Record):
    """From now on the site uses this calibration of the model version; None: the model's own. Append-only."""

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="calibration_changes")
    model_version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="calibration_changes")
    calibration = models.ForeignKey(SiteCalibration, models.PROTECT, null=True, related_name="changes")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["site", "model_version", "-created_at"], name="calibration_latest")]

    def __str__(self) -> str:
        return f"change of calibration {self.id}"


class EngineName(models.TextChoices):
    PYTORCH = "pytorch", "PyTorch"
    ONNXRUNTIME = "onnxruntime", "ONNX Runtime"
    OPENVINO = "openvino", "OpenVINO"


class ServingEngine(Record):
    """What runs a model version on a host: the engine that its worker chose, with the figures of all.

    `candidates` are `classifier.inference.engines.choose.Figures`, best first; empty where one was named.
    """

    model_version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="engines")
    host = models.CharField(max_length=253)
    device = models.CharField(max_length=32)
    engine = models.CharField(max_length=32, choices=EngineName)
    precision = models.CharField(max_length=8)
    candidates = models.JSONField(default=list)
    chosen_at = models.DateTimeField()

    class Meta:
        ordering = ["host"]
        constraints = [
            models.UniqueConstraint(fields=["model_version", "host"], name="engine_once_a_host"),
        ]

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}"

    @property
    def gain(self) -> float | None:
        """How many times as fast as PyTorch in single precision; None where that was not timed."""
        speeds = {
            (one["engine"], one["precision"]): (one["alone"] * one["batched"]) ** 0.5
            for one in self.candidates
        }
        plain = speeds.get(("pytorch", "fp32"))
        return speeds[self.engine, self.precision] / plain if plain else None
