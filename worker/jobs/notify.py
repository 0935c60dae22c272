"""Notify: events that programs asked for, sent to them one by one until each is taken or a week is over."""

from __future__ import annotations

import json
import logging
import time

from webapp.webhooks.addresses import AddressRefused, target_of
from webapp.webhooks.models import Delivery
from webapp.webhooks.selectors import message_of
from webapp.webhooks.services import delivery_claim, delivery_done, delivery_failed
from webapp.webhooks.signing import headers_of
from worker.runner import Heartbeat
from worker.support.http_client import post

logger = logging.getLogger(__name__)

LIMIT_SECONDS = 60.0
REFUSED, UNREACHABLE, ANSWERED_NO = "address_refused", "unreachable", "answered_no"


class NotifyJob:
    """One delivery at a time. A claim leaves out receivers that are down: they hold up nobody else."""

    name = "notify"

    def prepare(self) -> None:
        return None

    def close(self) -> None:
        return None

    def step(self) -> bool:
        delivery = delivery_claim()
        if delivery is None:
            return False
        with Heartbeat(delivery, limit=LIMIT_SECONDS):
            send(delivery)
        return True


def send(delivery: Delivery) -> None:
    """Try one delivery and record how it went. No redirect is followed: 3xx is a no."""
    body = json.dumps(message_of(delivery), separators=(",", ":")).encode()
    began, status, code = time.monotonic(), None, ANSWERED_NO
    try:
        status = post(target_of(delivery.subscription.url), body, headers_of(delivery, body))
    except AddressRefused:
        code = REFUSED
    except OSError as error:
        code = UNREACHABLE
        logger.info("delivery %s: %s", delivery.pk, type(error).__name__)
    seconds = time.monotonic() - began
    told = {"delivery": delivery, "seconds": seconds}
    if status is not None and 200 <= status < 300:
        delivery_done(response_status=status, **told)
    else:
        delivery_failed(code=code, response_status=status, **told)
