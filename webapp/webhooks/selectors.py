"""Reading webhooks; those of other sites do not exist for the user (404)."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from webapp.accounts.models import Site, User
from webapp.accounts.services import for_sites
from webapp.core.queries import get_or_404
from webapp.webhooks.kinds import EventKind
from webapp.webhooks.models import Delivery, Event, Subscription

PERMISSION = "webhook.manage"
SETTLED_AFTER = timedelta(seconds=5)


def subscriptions_visible(user: User) -> QuerySet[Subscription]:
    return for_sites(Subscription.objects.select_related("site", "created_by"), user, PERMISSION)


def subscription_or_404(user: User, key: uuid.UUID) -> Subscription:
    return get_or_404(subscriptions_visible(user), key)


def events_after(site: Site, number: int) -> QuerySet[Event]:
    """The site's events after this one, oldest first.

    The latest seconds are left out: a transaction that began earlier may still commit a smaller number, which
    a reader who has seen a larger one would miss.
    """
    settled = timezone.now() - SETTLED_AFTER
    events = Event.objects.filter(site=site, number__gt=number, created_at__lt=settled)
    return events.exclude(kind=EventKind.TEST).order_by("number")


def deliveries_of(subscription: Subscription) -> QuerySet[Delivery]:
    return subscription.deliveries.select_related("event").prefetch_related("tries")


def delivery_or_404(subscription: Subscription, key: uuid.UUID) -> Delivery:
    return get_or_404(deliveries_of(subscription), key)


def message_of(delivery: Delivery) -> dict[str, Any]:
    """The message: ids and codes only; details are read from the API."""
    event = delivery.event
    return {
        "type": event.kind,
        "timestamp": event.created_at.isoformat(),
        "sequence": event.number,
        "data": {"id": str(event.subject), **event.data},
    }
