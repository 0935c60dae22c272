"""Webhooks, their deliveries and the log of attempts."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field

from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.webhooks.kinds import SUBSCRIBABLE
from webapp.webhooks.models import Delivery, DeliveryStatus, Subscription
from webapp.webhooks.selectors import message_of
from webapp.webhooks.signing import secret_of

URL = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?$"
KINDS = "kinds of events that are sent"
ATTEMPTS_SHOWN = 50


class WebhookSerializer(f.Serializer):
    id = f.IdField()
    url = f.CharField(help_text="address of the receiver")
    kinds = f.ListField(child=f.ChoiceField(SUBSCRIBABLE), help_text=KINDS)
    description = f.CharField(help_text="what it is for; may be empty")
    active = f.BooleanField(help_text="whether messages are sent")
    ended = f.TextOrNullField(help_text="`gone`: switched off after the receiver returned 410; else null")
    created_by = f.CharField(source="created_by.username", help_text="user name of the subscriber")
    failures = f.IntegerField(help_text="number of failed attempts in a row")
    paused_until = f.DateTimeField(
        allow_null=True, help_text="receiver is down, next attempt then; null if not"
    )
    created_at = f.CreatedAtField()


class WebhookWithSecretSerializer(WebhookSerializer):
    secret = f.SerializerMethodField(help_text="whsec_…, for verifying signatures; returned only here")

    def get_secret(self, subscription: Subscription) -> str:
        return secret_of(subscription)


class WebhookURLField(f.StrictCharField):
    """In ASCII; whether events may be sent there is checked afterwards."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=500, help_text="https address of the receiver", **options)
        self.validators.append(RegexValidator(URL))


class WebhookCreateSerializer(RequestSerializer):
    url = WebhookURLField()
    kinds = f.ListField(
        child=f.ChoiceField(SUBSCRIBABLE),
        required=False,
        min_length=1,
        max_length=50,
        default=list(SUBSCRIBABLE),
        help_text=KINDS,
    )
    description = f.StrictCharField(
        required=False, max_length=200, allow_blank=True, default="", help_text="what it is for"
    )


class WebhookChangeSerializer(RequestSerializer):
    url = WebhookURLField(required=False)
    kinds = f.ListField(
        child=f.ChoiceField(SUBSCRIBABLE), required=False, min_length=1, max_length=50, help_text=KINDS
    )
    description = f.StrictCharField(
        required=False, max_length=200, allow_blank=True, help_text="what it is for"
    )
    active = f.StrictBooleanField(required=False, help_text="whether messages are sent")


class AttemptSerializer(f.Serializer):
    at = f.DateTimeField(source="created_at", help_text="when the attempt ended")
    response_status = f.IntegerField(allow_null=True, help_text="HTTP status; null if there was no response")
    reason = f.TextOrNullField(
        source="error_code",
        help_text="`address_refused`, `unreachable`, `certificate_unknown_authority`, `certificate_expired`, "
        "`certificate_wrong_host`, `certificate_invalid`, `tls_failed` or `http_error`; null if delivered",
    )
    seconds = f.FloatField(help_text="duration of the attempt")


class MessageSerializer(f.Serializer):
    """The body that is sent; of one scan a larger `sequence` is never sent before a smaller one."""

    type = f.CharField(help_text="kind of event, such as `scan.created`")
    timestamp = f.DateTimeField(help_text="when it happened")
    sequence = f.IntegerField(help_text="number of the event, increasing")
    data = f.DictField(help_text="`id` of the scan, upload or patient, and codes; no patient data")


class DeliverySerializer(f.Serializer):
    id = f.UUIDField(help_text="also the header `webhook-id`: the same at every attempt")
    status = f.ChoiceField(DeliveryStatus.choices, help_text="`failed`: given up")
    reason = f.TextOrNullField(source="error_code", help_text="code of the latest failure; null if none")
    message = f.SerializerMethodField(help_text="the body that is sent")
    attempts = f.SerializerMethodField(help_text=f"the latest {ATTEMPTS_SHOWN} attempts, oldest first")
    next_at = f.SerializerMethodField(help_text="earliest time of the next attempt; null if none is due")
    created_at = f.CreatedAtField(help_text="when it was queued")

    @extend_schema_field(MessageSerializer)
    def get_message(self, delivery: Delivery) -> Any:
        return message_of(delivery)

    @extend_schema_field(AttemptSerializer(many=True))
    def get_attempts(self, delivery: Delivery) -> Any:
        return AttemptSerializer(list(delivery.tries.all())[-ATTEMPTS_SHOWN:], many=True).data

    @extend_schema_field(f.DateTimeField(allow_null=True))
    def get_next_at(self, delivery: Delivery) -> Any:
        if delivery.status != DeliveryStatus.WAITING:
            return None
        return f.DateTimeField().to_representation(delivery.next_at)
