"""Application entities of other systems, and what they may do here."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from webapp.core.models import Record
from webapp.dicom.values import ANY_TITLE, valid_networks, valid_title


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
