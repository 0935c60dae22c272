"""What was handed in and what it became: uploads, patients, studies, series, scans."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from classifier.contract import RefusalReason, Slot
from webapp.core.ledger import LedgerRow, Life
from webapp.core.models import Record

SLOTS = [(slot.value, slot.value) for slot in Slot]


class UploadStatus(models.TextChoices):
    RECEIVED = "received"
    PARSING = "parsing"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


UPLOAD_LIFE = Life(
    waiting="received",
    running="parsing",
    failed="failed",
    moves={
        "received": frozenset({"parsing"}),
        "parsing": frozenset({"received", "done", "refused", "failed"}),
        "done": frozenset(),
        "refused": frozenset({"received"}),
        "failed": frozenset({"received"}),
    },
)


class Upload(LedgerRow):
    """Bytes that somebody handed in to a site, with what they claimed of patient and study."""

    LIFE = UPLOAD_LIFE
    Status = UploadStatus

    status = models.CharField(max_length=16, choices=UploadStatus, default=UploadStatus.RECEIVED)
    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="uploads")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    filename = models.CharField(max_length=255, blank=True)
    stored_name = models.CharField(max_length=120, blank=True)
    claimed_patient_id = models.CharField(max_length=64, blank=True)
    claimed_study = models.CharField(max_length=64, blank=True)
    claimed_date = models.DateField(null=True, blank=True)
    claimed_modality = models.CharField(max_length=16, blank=True)
    refusal = models.CharField(max_length=32, blank=True, choices=[(r.value, r.value) for r in RefusalReason])
    refusal_detail = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "sha256"], name="upload_once_a_site"),
            UPLOAD_LIFE.constraint("upload_status"),
            models.CheckConstraint(
                condition=Q(status="refused") & ~Q(refusal="") | ~Q(status="refused") & Q(refusal=""),
                name="upload_refused_with_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "created_at"], name="upload_queue"),
            models.Index(fields=["site", "-created_at"], name="upload_recent"),
        ]

    def __str__(self) -> str:
        return f"upload {self.id}"


class Patient(Record):
    """A person, as one site knows them by identifier and issuer.

    `provisional`: nobody said whose picture it is; the row stands for one upload until the scan is moved.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="patients")
    patient_id = models.CharField(max_length=64)
    issuer = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=200, blank=True)
    sex = models.CharField(max_length=16, blank=True)
    birth_date = models.DateField(null=True, blank=True)
    provisional = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "patient_id", "issuer"], name="patient_once_a_site")
        ]
        indexes = [models.Index(fields=["site", "name"], name="patient_by_name")]

    def __str__(self) -> str:
        return f"patient {self.id}"


class Study(Record):
    """One visit's imaging; what clinicians call a case.

    `study_date` and `study_time` are the local ones of the file or the claim, None when nobody said.
    `study_at` orders studies: the same as an instant (midnight when no time is known), else the arrival.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="studies")
    patient = models.ForeignKey(Patient, models.PROTECT, related_name="studies")
    study_instance_uid = models.CharField(max_length=64)
    accession_number = models.CharField(max_length=64, blank=True)
    study_date = models.DateField(null=True, blank=True)
    study_time = models.TimeField(null=True, blank=True)
    study_at = models.DateTimeField()
    description = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "studies"
        constraints = [
            models.UniqueConstraint(fields=["patient", "study_instance_uid"], name="study_once_a_patient")
        ]
        indexes = [
            models.Index(fields=["patient", "study_at"], name="study_history"),
            models.Index(fields=["site", "accession_number"], name="study_by_accession"),
        ]

    def __str__(self) -> str:
        return f"study {self.id}"


class Series(Record):
    """A run of images of one modality within a study."""

    study = models.ForeignKey(Study, models.PROTECT, related_name="series")
    series_instance_uid = models.CharField(max_length=64)
    modality = models.CharField(max_length=16, blank=True)

    class Meta:
        verbose_name_plural = "series"
        constraints = [
            models.UniqueConstraint(fields=["study", "series_instance_uid"], name="series_once_a_study")
        ]

    def __str__(self) -> str:
        return f"series {self.id}"


class Scan(Record):
    """One image. A single-file upload's scan has the upload's own id.

    `slope` and `intercept` take display values to modality values; `window_center` and `window_width` are
    in display units. `notes` keeps what a person should know, by code: `claim_differs`,
    `demographics_differ`, `study_elsewhere`, each with what differed. `duplicate_of` has the same pixels.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="scans")
    upload = models.ForeignKey(Upload, models.PROTECT, related_name="scans")
    series = models.ForeignKey(Series, models.PROTECT, related_name="scans")
    sop_instance_uid = models.CharField(max_length=64)
    slot = models.CharField(max_length=16, choices=SLOTS)
    synthetic = models.BooleanField(default=False)
    polarity_turned = models.BooleanField(default=False)
    rows = models.PositiveIntegerField()
    columns = models.PositiveIntegerField()
    slope = models.FloatField(default=1.0)
    intercept = models.FloatField(default=0.0)
    window_center = models.FloatField()
    window_width = models.FloatField()
    display_name = models.CharField(max_length=120)
    display_sha256 = models.CharField(max_length=64)
    working_name = models.CharField(max_length=120)
    working_sha256 = models.CharField(max_length=64)
    preview_name = models.CharField(max_length=120)
    preview_sha256 = models.CharField(max_length=64)
    pixel_sha256 = models.CharField(max_length=64)
    duplicate_of = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="duplicates"
    )
    view_position = models.CharField(max_length=16, blank=True)
    metadata = models.JSONField(default=dict)
    notes = models.JSONField(default=dict, blank=True)
    acquired_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["site", "pixel_sha256"], name="scan_by_pixels"),
            models.Index(fields=["site", "sop_instance_uid"], name="scan_by_sop_uid"),
            models.Index(fields=["slot", "received_at"], name="scan_by_slot"),
        ]

    def __str__(self) -> str:
        return f"scan {self.id}"

    @property
    def study(self) -> Study:
        return self.series.study

    @property
    def patient(self) -> Patient:
        return self.series.study.patient


class ScanMove(Record):
    """A scan was filed to another patient: the trace, with the reason that the audit trail must not hold."""

    scan = models.ForeignKey(Scan, models.PROTECT, related_name="moves")
    source = models.ForeignKey(Patient, models.PROTECT, related_name="+")
    target = models.ForeignKey(Patient, models.PROTECT, related_name="+")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"move {self.id}"
