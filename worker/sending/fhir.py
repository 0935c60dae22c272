"""Resources to a FHIR server: a transaction, so that a repetition replaces and never doubles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from webapp.results.fhir.resources import transaction
from webapp.results.models import Destination
from webapp.webhooks.addresses import target_of
from worker.sending.outcome import authorization, check_status
from worker.support.http_client import request

SECONDS = 60.0
JSON = "application/fhir+json"


def capabilities(destination: Destination) -> str:
    """GET of the server's capability statement; raises SendError, AddressRefused and OSError."""
    headers = {"Accept": JSON, **authorization(destination)}
    target = target_of(f"{destination.url.rstrip('/')}/metadata")
    status, _ = request(target, "GET", None, headers, most=0, in_all=SECONDS)
    check_status(status)
    return "The server returned its capability statement."


def push(destination: Destination, resources: Sequence[dict[str, Any]]) -> None:
    """Create or replace the resources; raises SendError, AddressRefused and OSError."""
    body = json.dumps(transaction(resources), separators=(",", ":")).encode()
    headers = {"Content-Type": JSON, "Accept": JSON, "Prefer": "return=minimal", **authorization(destination)}
    status, _ = request(target_of(destination.url), "POST", body, headers, most=0, in_all=SECONDS)
    check_status(status)
