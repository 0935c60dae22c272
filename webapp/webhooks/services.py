"""Events and their deliveries; call `announce` in the transaction of the change."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from webapp.accounts.models import Site, User
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.core.jobs.table import GAVE_UP
from webapp.webhooks.addresses import target_of
from webapp.webhooks.kinds import EventKind
from webapp.webhooks.models import Attempt, Delivery, DeliveryStatus, Event, Subscription

FIRST_PAUSE, LONGEST_PAUSE = 5, 300
TRIED_FOR, KEPT_FOR = timedelta(days=7), timedelta(days=30)
MOST_OF_A_SITE = 20
GONE = 410
UNDER_WAY = (DeliveryStatus.WAITING, DeliveryStatus.SENDING)
# Temporary: nothing else is sent to the receiver until it recovers.
PASSING = {408, 425, 429}


def announce(*, site_id: uuid.UUID, kind: EventKind, subject: uuid.UUID, data: Mapping[str, Any]) -> None:
    """Queue an event for the subscribers; call it while the row of `subject` is locked, for the order."""
    subscriptions = Subscription.objects.filter(site=site_id, active=True)
    wanting = [one for one in subscriptions if kind.value in one.kinds]
    # Recorded without a subscriber too: the API's change feed lists every event.
    _deliver(wanting, Event(site_id=site_id, kind=kind.value, subject=subject, data=dict(data)))


@transaction.atomic
def subscription_create(
    *, site: Site, actor: User, url: str, kinds: Iterable[str], description: str = ""
) -> Subscription:
    """Raises CodedError `webhook_address_refused`, `conflict` when the site has as many as it may."""
    target_of(url)
    if Subscription.objects.filter(site=site).count() >= MOST_OF_A_SITE:
        raise CodedError("conflict", f"A site has at most {MOST_OF_A_SITE} webhooks.", "Remove one first.")
    subscription = Subscription.objects.create(
        site=site, created_by=actor, url=url, kinds=sorted(set(kinds)), description=description
    )
    record(actor=actor, site=site, action="webhook.created", subject=subscription)
    return subscription


@transaction.atomic
def subscription_change(*, subscription: Subscription, actor: User, **changes: Any) -> Subscription:
    """Change url, kinds, description or active; activating it resumes deliveries at once."""
    if "url" in changes:
        target_of(changes["url"])
    if changes.get("active"):
        changes |= {"ended": "", "failures": 0, "paused_until": None}
    for name, value in changes.items():
        setattr(subscription, name, value)
    subscription.save(update_fields=list(changes) or None)
    detail = {"fields": sorted(changes)}
    record(actor=actor, site=subscription.site, action="webhook.changed", subject=subscription, detail=detail)
    notify_workers(Queue.NOTIFY)
    return subscription


@transaction.atomic
def subscription_remove(*, subscription: Subscription, actor: User) -> None:
    """Delete it with its deliveries and their log; the audit log keeps a record."""
    record(actor=actor, site=subscription.site, action="webhook.removed", subject=subscription)
    subscription.delete()


@transaction.atomic
def secret_change(*, subscription: Subscription, actor: User) -> Subscription:
    """Set a new secret; the old one also signs for a day, until the receiver has changed."""
    Subscription.objects.filter(pk=subscription.pk).update(
        secret_version=F("secret_version") + 1, secret_changed_at=timezone.now()
    )
    record(actor=actor, site=subscription.site, action="webhook.secret_changed", subject=subscription)
    subscription.refresh_from_db()
    return subscription


@transaction.atomic
def test_delivery_send(*, subscription: Subscription) -> Delivery:
    """Send one event of the kind `webhook.test`; raises CodedError `conflict` if the webhook is disabled."""
    if not subscription.active:
        raise CodedError("conflict", "This webhook is disabled.", "Enable it first.")
    event = Event(site=subscription.site, kind=EventKind.TEST.value, subject=uuid.uuid4(), data={})
    return _deliver([subscription], event)[0]


@transaction.atomic
def redeliver(*, delivery: Delivery) -> Delivery:
    """Send a finished delivery again; raises CodedError `conflict` for one in progress."""
    if delivery.status in UNDER_WAY or not delivery.retry(next_at=Now()):
        raise CodedError("conflict", "This delivery is still in progress.", "Wait until it has finished.")
    notify_workers(Queue.NOTIFY)
    delivery.refresh_from_db()
    return delivery


def delivery_claim() -> Delivery | None:
    """Claim the oldest due delivery; paused receivers and subjects with an earlier one in progress wait."""
    open_receivers = Q(subscription__paused_until=None) | Q(subscription__paused_until__lte=Now())
    earlier = Delivery.objects.filter(
        subscription=OuterRef("subscription"),
        subject=OuterRef("subject"),
        event__lt=OuterRef("event"),
        status__in=UNDER_WAY,
    )
    due = Delivery.objects.filter(open_receivers, ~Exists(earlier), subscription__active=True)
    return next(iter(due.filter(next_at__lte=Now()).claim()), None)


@transaction.atomic
def delivery_done(*, delivery: Delivery, response_status: int, seconds: float) -> bool:
    """Record a delivery; False if the lease was lost."""
    if not delivery.finish(DeliveryStatus.DELIVERED):
        return False
    Attempt.objects.create(delivery=delivery, response_status=response_status, seconds=seconds)
    Subscription.objects.filter(pk=delivery.subscription_id).update(failures=0, paused_until=None)
    return True


@transaction.atomic
def delivery_failed(
    *, delivery: Delivery, code: str, seconds: float, response_status: int | None = None
) -> bool:
    """Schedule another attempt, for up to a week; False if the lease was lost.

    A receiver that is down, overloaded or broken is paused; one that responds 410 is disabled.
    """
    old = timezone.now() - delivery.event.created_at > TRIED_FOR
    status = DeliveryStatus.FAILED if old else DeliveryStatus.WAITING
    again = Now() + pause_after(delivery.attempts)
    if not delivery.finish(status, error_code=code, next_at=again):
        return False
    Attempt.objects.create(
        delivery=delivery, response_status=response_status, error_code=code, seconds=seconds
    )
    receiver = Subscription.objects.filter(pk=delivery.subscription_id)
    if response_status == GONE:
        receiver.update(active=False, ended="gone")
    elif response_status is None or response_status >= 500 or response_status in PASSING:
        failures = delivery.subscription.failures + 1
        receiver.update(failures=failures, paused_until=Now() + pause_after(failures))
    return True


def pause_after(failures: int) -> timedelta:
    """5 seconds, doubled with each failure in a row, at most 5 minutes."""
    return timedelta(seconds=min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE))


def deliveries_tidy() -> int:
    """Fail deliveries that have waited for a week; delete events that are a month old."""
    now = timezone.now()
    Delivery.objects.filter(status=DeliveryStatus.WAITING, event__created_at__lt=now - TRIED_FOR).update(
        status=DeliveryStatus.FAILED, error_code=GAVE_UP
    )
    old = Event.objects.filter(created_at__lt=now - KEPT_FOR)
    return old.exclude(deliveries__status__in=UNDER_WAY).delete()[0]


def _deliver(subscriptions: list[Subscription], event: Event) -> list[Delivery]:
    event.save(force_insert=True)
    deliveries = [Delivery(subscription=one, event=event, subject=event.subject) for one in subscriptions]
    if deliveries:
        Delivery.objects.bulk_create(deliveries)
        notify_workers(Queue.NOTIFY)
    return deliveries
