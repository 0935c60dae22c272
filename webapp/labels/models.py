"""Signed readings of studies, labels of scans, label queues and imported manifests.

Readings and labels are append-only.
"""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from classifier.contract import Slot
from webapp.core.models import Record
from webapp.labels.marks.models import ImageMark, KeyImage, MarkKind  # noqa: F401 - Django looks for models here

SLOTS = [(slot.value, slot.value) for slot in Slot]
MAX_COMMENT_LENGTH = 2000
MAX_READERS = 9


class Reading(Record):
    """A signed statement on a study. A correction is another reading, which supersedes this one.

    `findings` are codes of the offered ones (`labels.selectors.offered`). `comment` is the impression,
    `comparison` that with prior images. `signed_as` is the reader's name as
    it was then. `evidence` is what stood on the page: for each scan its id, the hash of its pixels, and the
    analysis with its model. `sha256` seals all of it. A trigger of the database keeps the rows as they are.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="readings")
    study = models.ForeignKey("scans.Study", models.PROTECT, related_name="readings")
    scans = models.ManyToManyField("scans.Scan", through="ReadScan", related_name="readings")
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="readings")
    signed_as = models.CharField(max_length=200)
    findings = models.JSONField()
    comment = models.TextField(max_length=MAX_COMMENT_LENGTH, blank=True)
    comparison = models.TextField(max_length=MAX_COMMENT_LENGTH, blank=True)
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


class ReadingDraft(Record):
    """What a reader has entered for a study and not yet signed; theirs alone, removed when they sign."""

    study = models.ForeignKey("scans.Study", models.CASCADE, related_name="reading_drafts")
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    findings = models.JSONField(default=list)
    comment = models.TextField(max_length=MAX_COMMENT_LENGTH, blank=True)
    comparison = models.TextField(max_length=MAX_COMMENT_LENGTH, blank=True)
    saved_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "reader"], name="draft_once_a_reader")]

    def __str__(self) -> str:
        return f"draft of study {self.study_id}"


class FirstImpression(Record):
    """What a reader stated of a study before the result was shown to them; append-only, once a reader."""

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="first_impressions")
    study = models.ForeignKey("scans.Study", models.PROTECT, related_name="first_impressions")
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="first_impressions")
    findings = models.JSONField()

    class Meta:
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["study", "reader"], name="impression_once_a_reader")]
        indexes = [models.Index(fields=["site", "reader"], name="impression_of_reader")]

    def __str__(self) -> str:
        return f"first impression {self.id}"


class ReportTemplate(Record):
    """Text of a site for the reading form; {prior} and {measurements} are filled in when it is inserted."""

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="report_templates")
    name = models.CharField(max_length=100)
    findings = models.JSONField(default=list, blank=True, help_text='Codes to select, such as ["normal"].')
    impression = models.TextField(max_length=MAX_COMMENT_LENGTH, blank=True)
    comparison = models.TextField(max_length=MAX_COMMENT_LENGTH, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["site", "name"], name="template_once_a_name")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if not isinstance(self.findings, list) or not all(isinstance(one, str) for one in self.findings):
            raise ValidationError({"findings": 'Enter a list of codes, such as ["normal"].'})


class ReadScan(models.Model):
    """A scan that a reading is about: where the image is filed, the reading is shown."""

    reading = models.ForeignKey(Reading, models.PROTECT, related_name="read_scans")
    scan = models.ForeignKey("scans.Scan", models.PROTECT, related_name="read_scans")

    class Meta:
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["reading", "scan"], name="scan_once_a_reading")]

    def __str__(self) -> str:
        return f"scan {self.scan_id} of reading {self.reading_id}"


class Assessment(models.TextChoices):
    """A label's value for one finding. `unread`: asked, but not assessed; unknown is not absent."""

    PRESENT = "present"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"
    UNREAD = "unread"


class LabelSource(models.TextChoices):
    """`reader`: a person on the image. `import`: from a file. `adjudication`: decided over the readers."""

    READER = "reader"
    IMPORT = "import"
    ADJUDICATION = "adjudication"


class QueueOrder(models.TextChoices):
    UNCERTAINTY = "uncertainty"
    DISAGREEMENT = "disagreement"
    DRIFT = "drift"
    RANDOM = "random"


class LabelQueue(Record):
    """Scans to be labelled by `readers` people each, for these findings, in this order.

    `contents`: how the scans were selected. `named`: who labels it; without any, whoever may label at the
    site. A closed queue takes no more labels.
    """

    Order = QueueOrder

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="label_queues")
    name = models.CharField(max_length=100)
    findings = models.JSONField()
    order = models.CharField(max_length=16, choices=QueueOrder)
    readers = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(MAX_READERS)]
    )
    contents = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)
    scans = models.ManyToManyField("scans.Scan", through="QueueItem", related_name="label_queues")
    named = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+", blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["site", "name"], name="queue_once_a_name"),
            models.CheckConstraint(
                condition=Q(readers__gte=1, readers__lte=MAX_READERS), name="queue_has_readers"
            ),
        ]
        indexes = [models.Index(fields=["site", "-created_at"], name="queue_newest")]

    def __str__(self) -> str:
        return f"label queue {self.id}"


class ItemStatus(models.TextChoices):
    """`waiting` for readers; then they `agreed`, or are `disputed` until an adjudication has `settled` it."""

    WAITING = "waiting"
    AGREED = "agreed"
    DISPUTED = "disputed"
    SETTLED = "settled"


class QueueItem(Record):
    """A scan's place in a queue. `done` counts the readers who have committed a label of it there."""

    Status = ItemStatus

    queue = models.ForeignKey(LabelQueue, models.CASCADE, related_name="items")
    scan = models.ForeignKey("scans.Scan", models.PROTECT, related_name="queue_items")
    position = models.PositiveIntegerField()
    score = models.FloatField(null=True)
    done = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=16, choices=ItemStatus, default=ItemStatus.WAITING)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["queue", "scan"], name="scan_once_a_queue"),
            models.UniqueConstraint(fields=["queue", "position"], name="queue_position_once"),
        ]
        indexes = [models.Index(fields=["queue", "status", "position"], name="queue_next")]

    def __str__(self) -> str:
        return f"item {self.position} of queue {self.queue_id}"

    @property
    def reader_labels(self) -> models.QuerySet[Label]:
        """The readers' labels of the scan in this queue, superseded ones included."""
        return Label.objects.filter(queue=self.queue_id, scan=self.scan_id, source=LabelSource.READER)


class QueueClaim(models.Model):
    """A reader has this case open until `until`; meanwhile it counts among its readers."""

    item = models.ForeignKey(QueueItem, models.CASCADE, related_name="claims")
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    until = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "reader"], name="claim_once_a_reader")]

    def __str__(self) -> str:
        return f"claim of item {self.item_id}"


class SkipReason(models.TextChoices):
    UNSURE = "unsure", "Outside my experience"
    KNOWN = "known", "I know this patient or image"
    IMAGE = "image", "The image does not show what is asked"
    DISPLAY = "display", "My display or reading room is not suitable"
    OTHER = "other", "Other"


class QueueSkip(Record):
    """A reader passed a case over, which is then not offered to them again; append-only."""

    item = models.ForeignKey(QueueItem, models.PROTECT, related_name="skips")
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=16, choices=SkipReason)
    text = models.CharField(max_length=200, blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["item", "reader"], name="skip_once_a_reader")]

    def __str__(self) -> str:
        return f"skip of item {self.item_id}"


class Label(Record):
    """One reader's label of one scan; append-only, kept by triggers.

    `findings`: code to `Assessment`; a finding that is not in it was not asked. `confidence`: 1 (low) to
    3 (high). `regions`: see `labels.regions.shapes`. `blind`: given before the reader saw the result
    (`shown_analysis`) or other labels. `reader` gave or imported it; `signed_as` is the name in the imported
    file. `attributes` are the manifest's (`source`, `age`, ...).
    """

    Source = LabelSource

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="labels")
    scan = models.ForeignKey("scans.Scan", models.PROTECT, related_name="labels")
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="labels")
    signed_as = models.CharField(max_length=200)
    source = models.CharField(max_length=16, choices=LabelSource, default=LabelSource.READER)
    queue = models.ForeignKey(LabelQueue, models.PROTECT, null=True, blank=True, related_name="labels")
    findings = models.JSONField()
    confidence = models.PositiveSmallIntegerField(null=True, blank=True)
    regions = models.JSONField(default=list)
    comment = models.TextField(max_length=MAX_COMMENT_LENGTH, blank=True)
    indeterminate = models.BooleanField(default=False)
    unusable = models.BooleanField(default=False)
    blind = models.BooleanField(default=True)
    shown_analysis = models.ForeignKey(
        "analysis.Analysis", models.PROTECT, null=True, blank=True, related_name="+"
    )
    attributes = models.JSONField(default=dict)
    reason = models.CharField(max_length=500, blank=True)
    supersedes = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["site", "-created_at", "-id"], name="label_newest"),
            models.Index(fields=["scan", "-created_at"], name="label_of_scan"),
            models.Index(fields=["queue", "reader"], name="label_of_queue"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(confidence=None) | Q(confidence__gte=1, confidence__lte=3),
                name="label_confidence",
            ),
            models.CheckConstraint(
                condition=~Q(source="adjudication") | ~Q(reason=""), name="label_decided_with_reason"
            ),
            models.CheckConstraint(condition=~Q(supersedes=F("id")), name="label_not_over_itself"),
            # Each row of supersessions begins once: what comes later has to name the one before it.
            models.UniqueConstraint(
                fields=["scan", "reader", "queue"],
                condition=Q(source="reader", supersedes=None, queue__isnull=False),
                name="label_first_in_a_queue",
            ),
            models.UniqueConstraint(
                fields=["scan", "reader"],
                condition=Q(source="reader", supersedes=None, queue=None),
                name="label_first_of_a_reader",
            ),
            models.UniqueConstraint(
                fields=["scan", "signed_as"],
                condition=Q(source="import", supersedes=None),
                name="label_first_import",
            ),
            models.UniqueConstraint(
                fields=["scan"],
                condition=Q(source="adjudication", supersedes=None),
                name="label_first_adjudication",
            ),
        ]

    def __str__(self) -> str:
        return f"label {self.id}"


class Manifest(Record):
    """An imported manifest. The same bytes at the same site are one.

    `findings`: all that it names; those not named for an image are absent. `looked_at`: when its lines were
    last compared with the site's uploads.
    """

    site = models.ForeignKey("accounts.Site", models.PROTECT, related_name="manifests")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    name = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64)
    findings = models.JSONField()
    looked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["site", "sha256"], name="manifest_once_a_site")]

    def __str__(self) -> str:
        return f"manifest {self.id}"


class LineStatus(models.TextChoices):
    WAITING = "waiting"
    LABELLED = "labelled"
    NO_FINDING = "no_finding"
    FAILED = "failed"


class ManifestLine(models.Model):
    """One image of a manifest, and the upload and label that it became.

    At a site that keeps no identity, `image` is empty and `patient` a pseudonym.
    """

    Status = LineStatus

    manifest = models.ForeignKey(Manifest, models.CASCADE, related_name="lines")
    number = models.PositiveIntegerField()
    image = models.CharField(max_length=255, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    patient = models.CharField(max_length=64)
    date_relative = models.BooleanField(default=False, db_default=False)
    taken_on = models.DateField(null=True, blank=True)
    findings = models.JSONField()
    attributes = models.JSONField(default=dict)
    status = models.CharField(max_length=16, choices=LineStatus, default=LineStatus.WAITING)
    problem = models.CharField(max_length=64, blank=True)
    upload = models.ForeignKey("scans.Upload", models.SET_NULL, null=True, blank=True, related_name="+")
    label = models.ForeignKey(Label, models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["manifest", "number"], name="line_once_a_manifest")]
        indexes = [models.Index(fields=["manifest", "status"], name="line_by_status")]

    def __str__(self) -> str:
        return f"line {self.number} of manifest {self.manifest_id}"
