"""What people say of studies: signed readings. Rows are added, never changed or removed."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from webapp.core.models import Record


class Reading(Record):
    """A signed statement on a study. A correction is another reading, which supersedes this one.

    `findings` are codes of the offered ones (`labels.selectors.offered`). `signed_as` is the reader's name as
    it was then. `evidence` is what stood on the page: for each scan its id, the hash of its pixels, and the
    analysis with its model. `sha256` seals all of it. A trigger of the database keeps the rows as they are.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="readings")
    study = models.ForeignKey("scans.Study", models.PROTECT, related_name="readings")
    scans = models.ManyToManyField("scans.Scan", through="ReadScan", related_name="readings")
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="readings")
    signed_as = models.CharField(max_length=200)
    findings = models.JSONField()
    comment = models.TextField(max_length=2000, blank=True)
    evidence = models.JSONField()
    supersedes = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["site", "-created_at"], name="reading_recent")]

    def __str__(self) -> str:
        return f"reading {self.id}"


class ReadScan(models.Model):
    """A scan that a reading is about: where the picture is filed, the reading is shown."""

    reading = models.ForeignKey(Reading, models.PROTECT, related_name="read_scans")
    scan = models.ForeignKey("scans.Scan", models.PROTECT, related_name="read_scans")

    class Meta:
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["reading", "scan"], name="scan_once_a_reading")]

    def __str__(self) -> str:
        return f"scan {self.scan_id} of reading {self.reading_id}"
