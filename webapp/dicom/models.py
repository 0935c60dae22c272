"""Application entities of other systems, and what they may do here."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from webapp.core.jobs.queues import Queue
from webapp.core.jobs.table import JOB_TRANSITIONS, JobRow
from webapp.core.models import Record
from webapp.dicom.values import (
    ANY_TITLE,
    default_modalities,
    valid_modalities,
    valid_networks,
    valid_title,
)


class Sender(Record):
    """An application entity that may send images to a site, by AE title and address.

    `calling_title` `*` stands for any. `called_title`: a title of its own by which it calls this server;
    empty for DICOM_AE_TITLE. What it sends is uploaded by `user`, a service account with `scan.upload`.
    """

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="dicom_senders")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    calling_title = models.CharField("calling AE title", max_length=16, validators=[valid_title])
    called_title = models.CharField("called AE title", max_length=16, blank=True, validators=[valid_title])
    networks = models.JSONField(validators=[valid_networks])
    report_to = models.ForeignKey(
        "Peer",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Where reports of storage commitment go. Empty: commitment is refused.",
    )
    active = models.BooleanField(default=True)
    description = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["calling_title"]
        constraints = [
            models.UniqueConstraint(
                fields=["site", "calling_title", "called_title"], name="dicom_sender_once_a_site"
            )
        ]

    def __str__(self) -> str:
        return f"sender {self.id}"

    @property
    def any_title(self) -> bool:
        return self.calling_title == ANY_TITLE


class Retrieve(models.TextChoices):
    """How priors are retrieved from a peer."""

    NONE = "", "not at all"
    MOVE = "move", "C-MOVE"
    GET = "get", "C-GET"
    WEB = "web", "DICOMweb"


class Peer(Record):
    """An application entity that this server calls: a PACS with priors, or a sender that awaits reports.

    `url`: the base of its DICOMweb service, with the name of an entry of DICOM_CREDENTIALS for its
    Authorization header. `automatic`: priors are fetched whenever an image of a patient arrives; at most
    `most_studies` of the last `years`, of these `modalities`. What is retrieved is uploaded by `user`.
    """

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="dicom_peers")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    name = models.SlugField(max_length=50)
    title = models.CharField("AE title", max_length=16, blank=True, validators=[valid_title])
    host = models.CharField(max_length=253, blank=True)
    port = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    tls = models.BooleanField(default=False)
    url = models.URLField(max_length=500, blank=True)
    credential = models.CharField(max_length=64, blank=True)
    retrieve = models.CharField(max_length=8, choices=Retrieve, blank=True, default=Retrieve.NONE)
    automatic = models.BooleanField(default=False)
    most_studies = models.PositiveSmallIntegerField(default=5)
    years = models.PositiveSmallIntegerField(default=10)
    modalities = models.JSONField(default=default_modalities, validators=[valid_modalities])
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["site", "name"], name="dicom_peer_once_a_site")]

    def __str__(self) -> str:
        return f"peer {self.name}"

    def clean(self) -> None:
        super().clean()
        if self.retrieve == Retrieve.WEB:
            if not self.url:
                raise ValidationError({"url": "DICOMweb needs the address of the service."})
        elif not (self.title and self.host and self.port):
            raise ValidationError("Name its AE title, host and port.")


class Commitment(JobRow):
    """A request for storage commitment (PS3.4 annex J), and the report that it gets.

    `references`: [[SOP class, SOP instance], ...]. `next_at`: not before; while objects are still being
    processed, and while the peer does not take the report. `asked_again` counts these attempts.
    """

    QUEUE = Queue.DICOM
    CLAIM_WITH = ("sender__site", "sender__report_to")

    sender = models.ForeignKey(Sender, models.CASCADE, related_name="commitments")
    transaction_uid = models.CharField(max_length=64)
    references = models.JSONField()
    next_at = models.DateTimeField(db_default=Now())
    asked_again = models.PositiveSmallIntegerField(default=0)
    failed_objects = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sender", "transaction_uid"], name="commitment_once"),
            JOB_TRANSITIONS.constraint("commitment_status"),
        ]
        indexes = [models.Index(fields=["status", "next_at"], name="commitment_queue")]

    def __str__(self) -> str:
        return f"commitment {self.id}"


class PriorFetch(JobRow):
    """Fetching a patient's priors from a peer; `requested_by` None: by the site's rule.

    `studies` were found, `retrieved` and `refused` count objects.
    """

    QUEUE = Queue.DICOM
    CLAIM_WITH = ("peer__site", "peer__user", "patient")

    peer = models.ForeignKey(Peer, models.CASCADE, related_name="fetches")
    patient = models.ForeignKey("scans.Patient", models.CASCADE, related_name="prior_fetches")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    studies = models.PositiveIntegerField(null=True)
    retrieved = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "prior fetches"
        constraints = [JOB_TRANSITIONS.constraint("prior_fetch_status")]
        indexes = [
            models.Index(fields=["status", "created_at"], name="prior_fetch_queue"),
            models.Index(fields=["patient", "peer", "-created_at"], name="prior_fetch_of_patient"),
        ]

    def __str__(self) -> str:
        return f"prior fetch {self.id}"
