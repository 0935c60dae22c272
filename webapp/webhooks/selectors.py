"""Reading webhooks. What belongs to a stranger's site does not exist for the user (404)."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.core.errors import CodedError
from webapp.webhooks.models import Delivery, Subscription

PERMISSION = "webhook.manage"


def subscriptions_visible(user: User) -> QuerySet[Subscription]:
    return for_sites(Subscription.objects.select_related("site", "created_by"), user, PERMISSION)


def subscription_or_404(user: User, key: uuid.UUID) -> Subscription:
    return _or_404(subscriptions_visible(user), key)


def deliveries_of(subscription: Subscription) -> QuerySet[Delivery]:
    return subscription.deliveries.select_related("event").prefetch_related("tries")


def delivery_or_404(subscription: Subscription, key: uuid.UUID) -> Delivery:
    return _or_404(deliveries_of(subscription), key)


def message_of(delivery: Delivery) -> dict[str, Any]:
    """What is sent: ids and codes; whoever may read them asks the API for the rest."""
    event = delivery.event
    return {
        "type": event.kind,
        "timestamp": event.created_at.isoformat(),
        "sequence": event.number,
        "data": {"id": str(event.subject), **event.data},
    }


def _or_404(rows: QuerySet, key: uuid.UUID) -> Any:
    row = rows.filter(pk=key).first()
    if row is None:
        raise CodedError("not_found")
    return row
