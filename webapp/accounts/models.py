"""People, the sites they work at, and what they may do there."""

from __future__ import annotations

import uuid
import zoneinfo

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from webapp.accounts.permissions import known_permissions
from webapp.core.models import Record

DEIDENTIFY_KEY_LENGTH = 32


def known_timezone(value: str) -> None:
    """Validator of an IANA time zone name; raises ValidationError."""
    if value not in zoneinfo.available_timezones():
        raise ValidationError("Not a time zone, such as Europe/Berlin.")


def deidentify_by_default() -> bool:
    return settings.DEIDENTIFY_ON_INGEST


def deidentify_key_is_strong() -> bool:
    return len(settings.DEIDENTIFY_KEY) >= DEIDENTIFY_KEY_LENGTH


class User(AbstractUser):
    """A person or a service account. `is_demo` accounts work on loopback in demo mode only.

    `preferences`: see webapp.accounts.preferences, which checks what it reads and writes.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    is_demo = models.BooleanField(default=False, editable=False)
    timezone = models.CharField(
        max_length=64, blank=True, validators=[known_timezone], help_text="Empty: the site's time zone."
    )
    preferences = models.JSONField(default=dict, editable=False)

    @property
    def created_at(self):
        return self.date_joined

    def save(self, *args, **kwargs) -> None:
        """A new password ends the sessions and the API tokens."""
        replaced = getattr(self, "_password", None) is not None and not self._state.adding
        super().save(*args, **kwargs)
        if replaced:
            self._end_access()

    def _end_access(self) -> None:
        for token in self.api_tokens.filter(revoked_at=None):
            token.revoked_at = timezone.now()
            token.save(update_fields=["revoked_at"])
        open_sessions = self.sessions.filter(ended_at=None)
        Session.objects.filter(session_key__in=open_sessions.values("session_key")).delete()
        open_sessions.update(ended_at=timezone.now())


class Site(Record):
    """A hospital or a department; every patient and every upload belongs to one."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(unique=True)
    timezone = models.CharField(max_length=64, default="UTC", validators=[known_timezone])
    deidentify_on_ingest = models.BooleanField(
        "remove identity on arrival",
        default=deidentify_by_default,
        help_text="Files are kept without identity, under pseudonyms. What came before stays as it is.",
    )
    read_first = models.BooleanField(
        default=False,
        help_text="Readers commit a first impression before they see a result. Off: each reader chooses.",
    )

    confirm_readings = models.BooleanField(
        "confirm password to sign readings",
        default=False,
        help_text="Readers who signed in long ago confirm their password before they sign a reading.",
    )
    date_order = models.CharField(
        max_length=3,
        blank=True,
        choices=[("dmy", "day first"), ("mdy", "month first")],
        help_text="How dates such as 05/03/2024 are read in manifests. Empty: the next manifest asks.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        if self.deidentify_on_ingest and not deidentify_key_is_strong():
            raise ValidationError({"deidentify_on_ingest": "DEIDENTIFY_KEY has to be set first."})


class Role(Record):
    """A named set of permissions."""

    name = models.SlugField(unique=True)
    permissions = models.JSONField(default=list, validators=[known_permissions])

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(Record):
    """What one user may do at one site; the default one is active after sign-in."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="memberships")
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="memberships")
    is_default = models.BooleanField(default=False)

    class Meta:
        ordering = ["-is_default", "site__name"]
        constraints = [
            models.UniqueConstraint(fields=["user", "site"], name="accounts_one_role_per_site"),
            models.UniqueConstraint(
                fields=["user"], condition=Q(is_default=True), name="accounts_one_default_membership"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.site} as {self.role}"


class ApiToken(Record):
    """A bearer token of one membership, narrowed by scopes; only its SHA-256 digest is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list, validators=[known_permissions])
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def live(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())


class UserSession(Record):
    """A session of the pages, from sign-in on: where from, with which browser, and when last used.

    `address` is the caller's, `network` the part of it that failed sign-ins count for. `ended_at`: signed
    out, ended by somebody, or past a limit. Rows outlive their session (`sessions_tidy`): an address is
    known by them.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    session_key = models.CharField(max_length=40, unique=True, editable=False)
    address = models.CharField(max_length=45, blank=True, editable=False)
    network = models.CharField(max_length=45, blank=True, editable=False)
    user_agent = models.CharField(max_length=200, blank=True, editable=False)
    last_used_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-last_used_at"]
        default_permissions = ()
        indexes = [models.Index(fields=["user", "network", "-last_used_at"], name="accounts_known_address")]

    def __str__(self) -> str:
        return f"{self.user} from {self.address}"


class Invitation(Record):
    """An offer of a role at a site, by a link that works once (`members.services.invitation_link`).

    `base_url`: the address of this installation, for a link that a worker mails to `email`.
    """

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="invitations")
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="+")
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    email = models.EmailField(blank=True)
    base_url = models.CharField(max_length=300, blank=True, editable=False)
    expires_at = models.DateTimeField()
    mailed_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    accepted_at = models.DateTimeField(null=True, editable=False)
    accepted_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.role} at {self.site}"
