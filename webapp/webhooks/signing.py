"""Signatures after the Standard Webhooks specification, which receivers verify with its public libraries.

A secret is derived from SECRET_KEY, the subscription and its version: nothing to be read from the database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.crypto import salted_hmac

from webapp.webhooks.models import Delivery, Subscription

PREFIX = "whsec_"
OVERLAP = timedelta(hours=24)


def secret_of(subscription: Subscription, *, version: int | None = None) -> str:
    """The signing secret as receivers are given it."""
    return PREFIX + base64.b64encode(_key(subscription, version or subscription.secret_version)).decode()


def headers_of(delivery: Delivery, body: bytes, *, at: datetime | None = None) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp` and `webhook-signature` of a message sent now.

    For a day after a change of the secret the old one signs too.
    """
    subscription, timestamp = delivery.subscription, str(int((at or timezone.now()).timestamp()))
    versions = [subscription.secret_version]
    changed = subscription.secret_changed_at
    if changed and timezone.now() - changed < OVERLAP:
        versions.append(subscription.secret_version - 1)
    signed = b".".join([str(delivery.pk).encode(), timestamp.encode(), body])
    signatures = [_signature(_key(subscription, version), signed) for version in versions]
    return {
        "webhook-id": str(delivery.pk),
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _key(subscription: Subscription, version: int) -> bytes:
    return salted_hmac("webapp.webhooks.signing", f"{subscription.pk}:{version}", algorithm="sha256").digest()


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
