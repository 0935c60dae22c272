"""Send: results to their destinations one by one, until each is accepted, refused, or a week old."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.utils import timezone

from webapp.core.errors import CodedError
from webapp.results import content_rows
from webapp.results.deliveries import (
    delivery_claim,
    delivery_done,
    delivery_failed,
    filing_of,
    finished_analysis,
    object_accepted,
)
from webapp.results.fhir import rows as fhir_rows
from webapp.results.hl7v2 import oru_message
from webapp.results.kinds import DestinationKind
from webapp.results.making import objects_of, readings_of, scans_of
from webapp.results.models import Cause, Destination, ResultDelivery, ResultObject
from webapp.webhooks.addresses import AddressRefused
from worker.runner import Heartbeat, Job
from worker.sending import dicom, fhir, mllp, stow
from worker.sending.outcome import SendError
from worker.support.connection_errors import connection_error, describe_connection

logger = logging.getLogger(__name__)

LIMIT_SECONDS = 900.0
CONTROL_ID = 20  # characters of MSH-10
TESTS: dict[str, Callable[[Destination], str]] = {
    DestinationKind.DICOM: dicom.echo,
    DestinationKind.STOW: stow.search,
    DestinationKind.FHIR: fhir.capabilities,
    DestinationKind.HL7: mllp.connect,
}


class SendJob(Job):
    """One delivery at a time. Receivers that are down are left out, so they delay no other."""

    name = "send"

    def step(self) -> bool:
        delivery = delivery_claim()
        if delivery is None:
            return False
        with Heartbeat(delivery, limit=LIMIT_SECONDS):
            send(delivery)
        return True


def send(delivery: ResultDelivery) -> None:
    """Try one delivery and record how it ended."""
    began, accepted = time.monotonic(), []

    def note(one: ResultObject) -> None:
        object_accepted(delivery=delivery, sent=one)
        accepted.append(one)

    try:
        text = _attempt(delivery, note)
    except (SendError, AddressRefused, OSError, ValueError, CodedError) as error:
        logger.warning("result delivery %s: %s", delivery.pk, _described(error))
        code, problem, final, down = _meaning(error)
        delivery_failed(
            delivery=delivery,
            code=code,
            problem=problem,
            seconds=time.monotonic() - began,
            accepted=len(accepted),
            final=final,
            receiver_down=down,
        )
        return
    delivery_done(
        delivery=delivery,
        seconds=time.monotonic() - began,
        filed_as=_filed_as(delivery),
        accepted=len(accepted),
        note=text,
    )


def _attempt(delivery: ResultDelivery, accepted: Callable[[ResultObject], None]) -> str:
    destination = delivery.destination
    kind = DestinationKind(destination.kind)
    if delivery.cause == Cause.TEST:
        return TESTS[kind](destination)
    if kind == DestinationKind.FHIR:
        return _push(delivery)
    if kind == DestinationKind.HL7:
        return _message(delivery)
    there = set(delivery.accepted.values_list("pk", flat=True))
    objects = [one for one in _made(delivery) if one.pk not in there]
    if objects:
        store = dicom.store if kind == DestinationKind.DICOM else stow.store
        store(destination, objects, accepted)
    return ""


def _made(delivery: ResultDelivery) -> list[ResultObject]:
    try:
        return objects_of(delivery)
    except (FileNotFoundError, ValueError, CodedError) as error:
        problem = "An image of the result is missing or damaged: run manage.py check_storage."
        raise SendError("image_unavailable", problem, down=False) from error


def _push(delivery: ResultDelivery) -> str:
    resources = {}
    for scan in scans_of(delivery):
        study = fhir_rows.study_resource(scan.study)
        for one in (study, *fhir_rows.all_of(scan)):
            resources[one["resourceType"], one["id"]] = one
    for reading in readings_of(delivery):
        one = fhir_rows.reading_resource(reading)
        resources[one["resourceType"], one["id"]] = one
    fhir.push(delivery.destination, list(resources.values()))
    return f"{len(resources)} resources"


def _message(delivery: ResultDelivery) -> str:
    scans, control_id = scans_of(delivery), delivery.pk.hex[:CONTROL_ID]
    analyses = [finished_analysis(scan) for scan in scans]
    message = oru_message(
        [content_rows.source_of(scan) for scan in scans],
        [content_rows.result_of(one) if one else None for one in analyses],
        [content_rows.reading_of(one) for one in readings_of(delivery)],
        control_id=control_id,
        sent_at=timezone.localtime(delivery.created_at),
        facility=delivery.destination.site.name,
        corrected=delivery.cause == Cause.CORRECTION,
        production=settings.PRODUCTION,
    )
    mllp.send(delivery.destination, message, control_id)
    return ""


def _filed_as(delivery: ResultDelivery) -> str:
    if delivery.cause == Cause.TEST:
        return ""
    return next((filing_of(scan) for scan in scans_of(delivery)), "")


def _meaning(error: Exception) -> tuple[str, str, bool, bool]:
    """Code, problem, whether it is final, and whether the receiver as a whole is down."""
    if isinstance(error, SendError):
        return error.code, error.problem, error.final, error.down
    if isinstance(error, CodedError):
        return error.code, error.remedy, False, True
    if isinstance(error, AddressRefused | OSError):
        return connection_error(error), describe_connection(error), False, True
    return "invalid", "The result could not be written.", True, False


def _described(error: Exception) -> str:
    if isinstance(error, SendError):
        return str(error)
    return describe_connection(error) if isinstance(error, OSError) else type(error).__name__
