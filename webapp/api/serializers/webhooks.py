"""Webhooks, their deliveries and the log of attempts, as the API tells them."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from webapp.api.fields import Text, Truth
from webapp.webhooks.kinds import SUBSCRIBABLE
from webapp.webhooks.models import Delivery, DeliveryStatus, Subscription
from webapp.webhooks.selectors import message_of
from webapp.webhooks.signing import secret_of

ADDRESS = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?$"


class WebhookSerializer(serializers.Serializer):
    """`paused_until`: the receiver was down, and is tried again then. `ended`: why it was switched off."""

    id = serializers.UUIDField()
    url = serializers.CharField()
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=SUBSCRIBABLE))
    description = serializers.CharField()
    active = serializers.BooleanField()
    ended = serializers.CharField(allow_null=True)
    created_by = serializers.CharField()
    failures = serializers.IntegerField(help_text="how many attempts in a row the receiver was down for")
    paused_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


def webhook_answer(subscription: Subscription) -> dict[str, Any]:
    return {
        "id": subscription.pk,
        "url": subscription.url,
        "kinds": subscription.kinds,
        "description": subscription.description,
        "active": subscription.active,
        "ended": subscription.ended or None,
        "created_by": subscription.created_by.get_username(),
        "failures": subscription.failures,
        "paused_until": subscription.paused_until,
        "created_at": subscription.created_at,
    }


class WebhookWithSecretSerializer(WebhookSerializer):
    secret = serializers.CharField(help_text="whsec_…, to verify signatures with; told here and never again")


def with_secret(subscription: Subscription) -> dict[str, Any]:
    return webhook_answer(subscription) | {"secret": secret_of(subscription)}


class Address(Text):
    """An address in ASCII; whether events may go there is judged afterwards."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=500, help_text="where the messages go, by https", **options)
        self.validators.append(RegexValidator(ADDRESS))


class WebhookCreateSerializer(serializers.Serializer):
    url = Address()
    kinds = serializers.ListField(
        child=serializers.ChoiceField(choices=SUBSCRIBABLE),
        required=False,
        min_length=1,
        max_length=50,
        default=list(SUBSCRIBABLE),
        help_text="the kinds of events to send; left out: all",
    )
    description = Text(required=False, max_length=200, allow_blank=True, default="")


class WebhookChangeSerializer(serializers.Serializer):
    url = Address(required=False)
    kinds = serializers.ListField(
        child=serializers.ChoiceField(choices=SUBSCRIBABLE), required=False, min_length=1, max_length=50
    )
    description = Text(required=False, max_length=200, allow_blank=True)
    active = Truth(required=False)


class AttemptSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    response_status = serializers.IntegerField(allow_null=True, help_text="null: there was no answer")
    reason = serializers.CharField(allow_null=True)
    seconds = serializers.FloatField()


class MessageSerializer(serializers.Serializer):
    """What is sent. `sequence` grows: of one scan a larger one is never sent before a smaller one."""

    type = serializers.CharField()
    timestamp = serializers.DateTimeField()
    sequence = serializers.IntegerField()
    data = serializers.DictField()


class DeliverySerializer(serializers.Serializer):
    """`id` is the header webhook-id. `attempts` is the log; only the latest fifty are told."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=DeliveryStatus.choices)
    reason = serializers.CharField(allow_null=True)
    message = MessageSerializer()
    attempts = AttemptSerializer(many=True)
    next_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


def delivery_answer(delivery: Delivery) -> dict[str, Any]:
    tries = list(delivery.tries.all())[-50:]
    return {
        "id": delivery.pk,
        "status": delivery.status,
        "reason": delivery.error_code or None,
        "message": message_of(delivery),
        "attempts": [
            {
                "at": one.created_at,
                "response_status": one.response_status,
                "reason": one.error_code or None,
                "seconds": one.seconds,
            }
            for one in tries
        ],
        "next_at": delivery.next_at if delivery.status == DeliveryStatus.WAITING else None,
        "created_at": delivery.created_at,
    }
