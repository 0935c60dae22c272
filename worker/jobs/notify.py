"""Notify: sends webhook events one by one until each is accepted or a week has passed."""

from __future__ import annotations

import json
import logging
import time

from webapp.webhooks.addresses import AddressRefused, target_of
from webapp.webhooks.models import Delivery
from webapp.webhooks.selectors import message_of
from webapp.webhooks.services import delivery_claim, delivery_done, delivery_failed
from webapp.webhooks.signing import headers_of
from worker.runner import Heartbeat, Job
from worker.support.connection_errors import connection_error, describe_connection
from worker.support.http_client import post

logger = logging.getLogger(__name__)

LIMIT_SECONDS = 60.0
HTTP_ERROR = "http_error"


class NotifyJob(Job):
    """One delivery at a time. Receivers that are down are left out, so they delay no other."""

    name = "notify"

    def step(self) -> bool:
        delivery = delivery_claim()
        if delivery is None:
            return False
        with Heartbeat(delivery, limit=LIMIT_SECONDS):
            send(delivery)
        return True


def send(delivery: Delivery) -> None:
    """Try one delivery and record the result. Redirects are not followed: 3xx is a refusal."""
    body = json.dumps(message_of(delivery), separators=(",", ":")).encode()
    began, status, code = time.monotonic(), None, HTTP_ERROR
    try:
        status = post(target_of(delivery.subscription.url), body, headers_of(delivery, body))
    except (AddressRefused, OSError) as error:
        code = connection_error(error)
        logger.info("delivery %s: %s", delivery.pk, describe_connection(error))
    seconds = time.monotonic() - began
    attempt = {"delivery": delivery, "seconds": seconds}
    if status is not None and 200 <= status < 300:
        delivery_done(response_status=status, **attempt)
    else:
        delivery_failed(code=code, response_status=status, **attempt)
