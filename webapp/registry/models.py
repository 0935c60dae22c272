"""Model versions and who made which of them active."""

from __future__ import annotations

import json

from django.conf import settings
from django.db import models
from django.db.models import Q

from classifier.contract import ModelSpec, Slot
from webapp.core.ledger import Life, StatusRow
from webapp.core.models import Record


class ModelStatus(models.TextChoices):
    CANDIDATE = "candidate"
    ACTIVE = "active"
    RETIRED = "retired"
    REJECTED = "rejected"


MODEL_LIFE = Life(
    moves={
        "candidate": frozenset({"active", "rejected"}),
        "active": frozenset({"retired"}),
        "retired": frozenset({"active", "rejected"}),
        "rejected": frozenset(),
    }
)


class ModelVersion(StatusRow):
    """One artifact, known by its sha256. `site` owns it; None, as once it was active: it belongs to all."""

    LIFE = MODEL_LIFE
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
    site = models.ForeignKey("accounts.Site", models.PROTECT, null=True, blank=True, related_name="models")
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="models_registered"
    )

    class Meta:
        constraints = [
            MODEL_LIFE.constraint("model_status"),
            models.UniqueConstraint(fields=["sha256"], name="model_once"),
            models.UniqueConstraint(fields=["slot", "number"], name="model_number_once_a_slot"),
            models.UniqueConstraint(
                fields=["slot"], condition=Q(status="active"), name="model_one_active_a_slot"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.slot}-{self.number}"

    @property
    def model_spec(self) -> ModelSpec:
        return ModelSpec.from_json(json.dumps(self.spec))


class Promotion(Record):
    """A model version became the active one of its slot. `by` None: installation put it there."""

    model_version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="promotions")
    previous = models.ForeignKey(ModelVersion, models.PROTECT, null=True, blank=True, related_name="+")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="promotions"
    )
    reason = models.CharField(max_length=500)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"promotion {self.id}"
