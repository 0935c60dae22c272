"""Uploads, and the patients, studies, series and scans made from them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from classifier.contract import Slot
from classifier.reasons import RefusalReason
from webapp.core.jobs.queues import Queue
from webapp.core.jobs.table import JobRow, Transitions
from webapp.core.models import Record
from webapp.scans.patients.person_name import search_parts

SLOTS = [(slot.value, slot.value) for slot in Slot]


class UploadStatus(models.TextChoices):
    RECEIVED = "received"
    PARSING = "parsing"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


UPLOAD_TRANSITIONS = Transitions(
    waiting="received",
    running="parsing",
    failed="failed",
    moves={
        "received": frozenset({"parsing"}),
        "parsing": frozenset({"received", "done", "refused", "failed"}),
        # An archive of which a member came to nothing is unpacked again when it is uploaded again.
        "done": frozenset({"received"}),
        "refused": frozenset({"received"}),
        "failed": frozenset({"received"}),
    },
)


class Upload(JobRow):
    """Bytes that somebody uploaded to a site, with what they stated of patient and study.

    An archive (ZIP) becomes an upload for each image in it, of which it is the `parent`. Once unpacked it
    is done and its own bytes are deleted; `skipped` lists what was left out: [{reason, count, names}].
    `stored_sha256` is that of the de-identified file, where it replaced the received one; `sha256` still
    recognises the received bytes.
    """

    TRANSITIONS = UPLOAD_TRANSITIONS
    QUEUE = Queue.INGEST
    CLAIM_WITH = ("site", "user")
    Status = UploadStatus

    status = models.CharField(max_length=16, choices=UploadStatus, default=UploadStatus.RECEIVED)
    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="uploads")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    filename = models.CharField(max_length=255, blank=True)
    stored_name = models.CharField(max_length=120, blank=True)
    stored_sha256 = models.CharField(max_length=64, blank=True)
    stated_patient_id = models.CharField(max_length=64, blank=True)
    stated_study = models.CharField(max_length=64, blank=True)
    stated_date = models.DateField(null=True, blank=True)
    stated_modality = models.CharField(max_length=16, blank=True)
    stated_view = models.CharField(max_length=16, blank=True, default="", db_default="")
    stated_sex = models.CharField(max_length=1, blank=True, default="", db_default="")
    stated_age = models.CharField(max_length=4, blank=True, default="", db_default="")
    stated_date_relative = models.BooleanField(default=False, db_default=False)
    refusal = models.CharField(max_length=32, blank=True, choices=[(r.value, r.value) for r in RefusalReason])
    refusal_detail = models.CharField(max_length=200, blank=True)
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children")
    skipped = models.JSONField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "sha256"], name="upload_once_a_site"),
            UPLOAD_TRANSITIONS.constraint("upload_status"),
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

    @property
    def label(self) -> str:
        """The file name, or a short id at a site that stores no names."""
        return self.filename or f"file {str(self.pk)[:8]}"

    @property
    def is_unpacked(self) -> bool:
        """Whether this is an archive that has become the uploads of its members."""
        return self.skipped is not None


class ArchiveMember(models.Model):
    """An image of an unpacked archive: its name there, and the upload that its bytes are at the site.

    That upload may be an earlier one, the same one twice, or none: what is here already for another patient
    than the archive was stated for is left alone.
    """

    archive = models.ForeignKey(Upload, models.CASCADE, related_name="members")
    upload = models.ForeignKey(Upload, models.CASCADE, null=True, blank=True, related_name="in_archives")
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=255)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["archive", "position"], name="member_once_an_archive")]

    def __str__(self) -> str:
        return f"member {self.position} of upload {self.archive_id}"


class Patient(Record):
    """A person, as one site knows them by identifier and issuer.

    `search_name` is the name as it is searched. `provisional`: no patient was stated; the row stands for one
    upload until the scan is moved.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="patients")
    patient_id = models.CharField(max_length=64)
    issuer = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=200, blank=True)
    search_name = models.TextField(blank=True, editable=False)
    sex = models.CharField(max_length=16, blank=True)
    birth_date = models.DateField(null=True, blank=True)
    provisional = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "patient_id", "issuer"], name="patient_once_a_site")
        ]
        indexes = [
            models.Index(fields=["site", "name"], name="patient_by_name"),
            models.Index(fields=["site", "birth_date"], name="patient_by_birth_date"),
            models.Index(fields=["site", "-created_at", "-id"], name="patient_newest"),
        ]

    def __str__(self) -> str:
        return f"patient {self.id}"

    def save(self, *args: Any, **options: Any) -> None:
        self.search_name = search_parts(self.name) if self.name else ""
        if options.get("update_fields") is not None:
            options["update_fields"] = {*options["update_fields"], "search_name"}
        super().save(*args, **options)


class Study(Record):
    """One visit's imaging; what clinicians call a case.

    `study_date` and `study_time` are the local ones of the file or the claim, None when unknown.
    `study_at` orders studies: the same as an instant (midnight when no time is known), else the arrival.
    `date_is_relative`: the date only keeps the order and distance of a patient's studies; the day is made up.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="studies")
    patient = models.ForeignKey(Patient, models.PROTECT, related_name="studies")
    study_instance_uid = models.CharField(max_length=64)
    accession_number = models.CharField(max_length=64, blank=True)
    study_date = models.DateField(null=True, blank=True)
    study_time = models.TimeField(null=True, blank=True)
    date_is_relative = models.BooleanField(default=False, db_default=False)
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
            models.Index(fields=["site", "study_instance_uid"], name="study_by_uid"),
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
    in display units. `notes` keeps what a person should know of the file itself, by code, with details;
    what depends on where it is filed is derived (`selectors.scan_notes`). `duplicate_of` has the same pixels.
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
            models.Index(fields=["site", "-received_at", "-id"], name="scan_newest"),
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
    """A scan was filed to another patient: the trace, with the reason that the audit log must not hold."""

    scan = models.ForeignKey(Scan, models.PROTECT, related_name="moves")
    source = models.ForeignKey(Patient, models.PROTECT, related_name="+")
    target = models.ForeignKey(Patient, models.PROTECT, related_name="+")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"move {self.id}"


class PatientMerge(Record):
    """Two records of one site are one person: `source` is an alias of `target` until the merge is undone.

    Active while `unmerged_at` is empty. The reasons are kept here, since the audit log must not hold them.
    """

    source = models.ForeignKey(Patient, models.PROTECT, related_name="merges")
    target = models.ForeignKey(Patient, models.PROTECT, related_name="merges_here")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    unmerged_at = models.DateTimeField(null=True, blank=True)
    unmerged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    unmerged_reason = models.CharField(max_length=500, blank=True)
    scans = models.ManyToManyField(Scan, through="MergedScan", related_name="merges")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["source"], condition=Q(unmerged_at=None), name="patient_merged_into_one"
            ),
            models.CheckConstraint(
                condition=~Q(source=models.F("target")), name="patient_not_merged_into_itself"
            ),
            models.CheckConstraint(
                condition=Q(unmerged_at=None, unmerged_by=None, unmerged_reason="")
                | Q(unmerged_at__isnull=False, unmerged_by__isnull=False) & ~Q(unmerged_reason=""),
                name="patient_unmerged_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"merge {self.id}"


class MergedScan(models.Model):
    """A scan that a merge brought from its source to its target, hence goes back with it.

    `later`: it came in since, under the source's identifier. `left`: it was filed elsewhere since, by hand
    or by undoing another merge, and stays there.
    """

    merge = models.ForeignKey(PatientMerge, models.CASCADE, related_name="merged")
    scan = models.ForeignKey(Scan, models.CASCADE, related_name="merged")
    later = models.BooleanField(default=False)
    left = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merge", "scan"], name="scan_once_a_merge")]

    def __str__(self) -> str:
        return f"scan {self.scan_id} of merge {self.merge_id}"


class UploadKey(Record):
    """An idempotency key that a program sent with an upload, and what it came with.

    `key` and `fingerprint` (of the bytes and the stated metadata) are keyed hashes. `upload` is set once
    they are stored, `created` when they were new. Kept for some days: see `uploads.idempotency`.
    """

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    upload = models.ForeignKey(Upload, models.CASCADE, null=True, blank=True, related_name="+")
    created = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "user", "key"], name="upload_key_once")]
        indexes = [models.Index(fields=["created_at"], name="upload_key_age")]

    def __str__(self) -> str:
        return f"upload key {self.id}"
