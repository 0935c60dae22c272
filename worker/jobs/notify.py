"""Notify: sends webhook events one by one until each is accepted or a week has passed."""

from __future__ import annotations

import json
import logging
import ssl
import time

from webapp.webhooks.addresses import AddressRefused, target_of
from webapp.webhooks.models import Delivery
from webapp.webhooks.selectors import message_of
from webapp.webhooks.services import delivery_claim, delivery_done, delivery_failed
from webapp.webhooks.signing import headers_of
from worker.runner import Heartbeat, Job
from worker.support.http_client import post

logger = logging.getLogger(__name__)

LIMIT_SECONDS = 60.0
REFUSED, UNREACHABLE, HTTP_ERROR = "address_refused", "unreachable", "http_error"
TLS_FAILED, CERTIFICATE_INVALID = "tls_failed", "certificate_invalid"
# By OpenSSL's X509_V_ERR number. An unknown authority can be named in HILUM_WEBHOOK_CA_FILE.
CERTIFICATE_REASONS = {
    10: "certificate_expired",
    18: "certificate_unknown_authority",
    19: "certificate_unknown_authority",
    20: "certificate_unknown_authority",
    21: "certificate_unknown_authority",
    62: "certificate_wrong_host",
    64: "certificate_wrong_host",
}


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
    except AddressRefused:
        code = REFUSED
    except ssl.SSLCertVerificationError as error:
        code = CERTIFICATE_REASONS.get(error.verify_code, CERTIFICATE_INVALID)
        logger.warning("delivery %s: certificate refused: %s", delivery.pk, error.verify_message)
    except ssl.SSLError as error:
        code = TLS_FAILED
        logger.warning("delivery %s: TLS failed: %s", delivery.pk, error.reason)
    except OSError as error:
        code = UNREACHABLE
        logger.info("delivery %s: %s", delivery.pk, type(error).__name__)
    seconds = time.monotonic() - began
    attempt = {"delivery": delivery, "seconds": seconds}
    if status is not None and 200 <= status < 300:
        delivery_done(response_status=status, **attempt)
    else:
        delivery_failed(code=code, response_status=status, **attempt)
