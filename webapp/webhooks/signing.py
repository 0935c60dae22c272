"""Signatures after the Standard Webhooks specification, which receivers verify with its public libraries.

A secret is derived from the first of WEBHOOK_KEYS, the subscription and its version: nothing to be read from
the database, and nothing to encrypt again when a key changes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta

from django.conf import settings
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

    For a day after a change of the secret the old one signs too, and so do the secrets of every earlier key
    in WEBHOOK_KEYS.
    """
    subscription, timestamp = delivery.subscription, str(int((at or timezone.now()).timestamp()))
    versions = [subscription.secret_version]
    changed = subscription.secret_changed_at
    if changed and timezone.now() - changed < OVERLAP:
        versions.append(subscription.secret_version - 1)
    signed = b".".join([str(delivery.pk).encode(), timestamp.encode(), body])
    signatures = [
        _signature(_key(subscription, version, key), signed)
        for key in settings.WEBHOOK_KEYS
        for version in versions
    ]
    return {
        "webhook-id": str(delivery.pk),
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _key(subscription: Subscription, version: int, key: str = "") -> bytes:
    name, secret = f"{subscription.pk}:{version}", key or settings.WEBHOOK_KEYS[0]
    return salted_hmac("webapp.webhooks.signing", name, secret=secret, algorithm="sha256").digest()


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
