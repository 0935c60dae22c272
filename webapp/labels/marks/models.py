"""Versions of measurements and marks, and key images."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from webapp.core.models import Record


class MarkKind(models.TextChoices):
    """`cardiothoracic`: the width of the heart, then that of the thorax."""

    LENGTH = "length"
    ANGLE = "angle"
    RECTANGLE = "rectangle"
    ELLIPSE = "ellipse"
    PROBE = "probe"
    ARROW = "arrow"
    CARDIOTHORACIC = "cardiothoracic"


class ImageMark(Record):
    """One version of a measurement or mark on an image; append-only, kept by triggers.

    `points`: [[x, y], ...] in pixels of the displayed image, 0 at the outer edge of the first pixel. `values`
    is what the server measured (`labels.marks.measure`). A change or a deletion is another version, which
    supersedes this one; `signed_as` is the name of whoever made it, as it was then.
    """

    Kind = MarkKind

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="marks")
    scan = models.ForeignKey("scans.Scan", models.PROTECT, related_name="marks")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    signed_as = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=MarkKind)
    points = models.JSONField()
    text = models.CharField(max_length=200, blank=True)
    values = models.JSONField(default=dict)
    deleted = models.BooleanField(default=False)
    supersedes = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )

    class Meta:
        ordering = ["created_at", "pk"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["scan", "created_at"], name="mark_of_scan")]
        constraints = [
            models.CheckConstraint(condition=~Q(supersedes=F("id")), name="mark_not_over_itself"),
            models.CheckConstraint(
                condition=Q(deleted=False) | Q(supersedes__isnull=False), name="mark_deleted_has_earlier"
            ),
        ]

    def __str__(self) -> str:
        return f"mark {self.id}"


class KeyImage(Record):
    """A view of an image that a reader marked as important, with window, zoom and heatmap settings.

    `view` is that of `labels.marks.key_images.checked_view`. A removed one is kept, with who removed it.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="key_images")
    scan = models.ForeignKey("scans.Scan", models.PROTECT, related_name="key_images")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    signed_as = models.CharField(max_length=200)
    view = models.JSONField()
    removed_at = models.DateTimeField(null=True, blank=True)
    removed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["created_at", "pk"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["scan", "created_at"], name="key_image_of_scan")]

    def __str__(self) -> str:
        return f"key image {self.id}"
