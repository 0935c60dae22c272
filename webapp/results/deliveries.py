"""Deliveries: queued in the transaction of what causes them, claimed and finished by the worker."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from webapp.accounts.models import User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.analysis.models import Analysis
from webapp.analysis.state import current_analysis
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.core.jobs.table import JobStatus
from webapp.labels.models import Reading
from webapp.results.kinds import NO_FINDING, When
from webapp.results.models import Cause, DeliveryAttempt, Destination, ResultDelivery, ResultObject, Rule
from webapp.results.selectors import requestable
from webapp.scans.models import Scan, Study
from webapp.webhooks.services import pause_after

TRIED_FOR, KEPT_FOR = timedelta(days=7), timedelta(days=365)
Status = ResultDelivery.Status
UNDER_WAY = (Status.WAITING, Status.SENDING)


def queue_analysis(analysis: Analysis) -> None:
    """Queue a finished analysis for the destinations whose rules ask for it at once."""
    scan = analysis.scan
    wanted = _wanted(scan.site_id, When.AT_ONCE, lambda rule: matches(rule, analysis))
    if not scan.patient.provisional:
        for destination, kinds in wanted.items():
            _queue(
                destination,
                Cause.RULE,
                f"analysis:{analysis.pk}",
                kinds,
                scan.study,
                scan=scan,
                analysis=analysis,
            )


def queue_reading(reading: Reading) -> None:
    """Queue the results of a study with a signed reading for the destinations whose rules ask for it."""
    scans = list(reading.scans.all())
    analyses = [one for scan in scans if (one := finished_analysis(scan))]

    def asked(rule: Rule) -> bool:
        stated = not rule.findings or set(rule.findings) & set(reading.findings)
        return bool(stated) or any(matches(rule, analysis) for analysis in analyses)

    if not reading.study.patient.provisional:
        for destination, kinds in _wanted(reading.site_id, When.AFTER_READING, asked).items():
            key = f"reading:{reading.pk}"
            _queue(destination, Cause.RULE, key, kinds, reading.study, reading=reading)


@transaction.atomic
def results_send(*, scan: Scan, destination: Destination, actor: User) -> ResultDelivery:
    """Send a scan's result on request. Raises CodedError `forbidden`, `conflict`, `not_ready`."""
    demand(actor, Permission.RESULT_SEND, scan.site)
    if destination not in requestable(scan.site):
        raise CodedError("conflict", "No rule allows results to be sent there on request.")
    if scan.patient.provisional:
        raise CodedError("conflict", "The scan belongs to no patient.", "Move it to its patient first.")
    analysis = finished_analysis(scan)
    if analysis is None:
        raise CodedError("not_ready")
    rules = destination.rules.filter(when=When.ON_REQUEST)
    kinds = sorted({kind for rule in rules for kind in rule.kinds})
    delivery = _queue(
        destination,
        Cause.REQUEST,
        f"request:{uuid.uuid4()}",
        kinds,
        scan.study,
        scan=scan,
        analysis=analysis,
        requested_by=actor,
    )
    detail = {"destination": str(destination.pk), "scan": str(scan.pk)}
    record(actor=actor, site=scan.site, action="result.requested", subject=delivery, detail=detail)
    return delivery


def queue_corrections(studies: Iterable[uuid.UUID]) -> None:
    """Queue again what was delivered of the scans in these studies under another patient or study."""
    scans = Scan.objects.filter(series__study__in=list(studies)).select_related(
        "series__study__patient", "site"
    )
    for scan in scans:
        latest: dict[uuid.UUID, ResultDelivery] = {}
        about = Q(scan=scan) | Q(scan=None, reading__read_scans__scan=scan)
        sent = ResultDelivery.objects.filter(about, status=Status.DELIVERED).exclude(cause=Cause.TEST)
        for delivery in sent.select_related("destination").order_by("-created_at"):
            latest.setdefault(delivery.destination_id, delivery)
        for earlier in latest.values():
            if earlier.filed_as != filing_of(scan) and earlier.destination.active:
                _correct(earlier, scan)


def _correct(earlier: ResultDelivery, scan: Scan) -> None:
    about = (
        {"scan": scan, "analysis": finished_analysis(scan)}
        if earlier.scan_id
        else {"reading": earlier.reading}
    )
    study = scan.study
    key = f"correction:{uuid.uuid4()}"
    delivery = _queue(earlier.destination, Cause.CORRECTION, key, earlier.kinds, study, **about)
    objects = ResultObject.objects.filter(deliveries__destination=earlier.destination, superseded_by=None)
    objects = objects.filter(Q(scan=scan) | Q(scan=None, reading__read_scans__scan=scan))
    delivery.rejects.set(one for one in objects.distinct() if _filed(one) != filing_of(scan))


def filing_of(scan: Scan) -> str:
    """Patient and study that a scan is filed to, as one text."""
    study = scan.study
    return "|".join([study.patient.patient_id, study.patient.issuer, study.study_instance_uid])


def _filed(one: ResultObject) -> str:
    return "|".join([one.patient_id, one.issuer, one.study_instance_uid])


@transaction.atomic
def destination_test(*, destination: Destination, actor: User) -> ResultDelivery:
    """Queue a test of the connection; nothing of a patient is sent."""
    demand(actor, Permission.RESULT_MANAGE, destination.site)
    record(actor=actor, site=destination.site, action="destination.tested", subject=destination)
    return _queue(destination, Cause.TEST, f"test:{uuid.uuid4()}", [], None, requested_by=actor)


@transaction.atomic
def delivery_resend(*, delivery: ResultDelivery, actor: User) -> ResultDelivery:
    """Send a finished delivery again, all of it; raises CodedError `conflict` for one in progress."""
    demand(actor, Permission.RESULT_MANAGE, delivery.destination.site)
    if delivery.destination.removed:
        raise CodedError("conflict", "The destination was removed.")
    delivered = delivery.status == Status.DELIVERED
    if delivery.status in UNDER_WAY or not delivery.retry(next_at=Now()):
        raise CodedError("conflict", "This delivery is still in progress.", "Wait until it has finished.")
    if delivered:
        delivery.accepted.clear()
    Destination.objects.filter(pk=delivery.destination_id).update(failures=0, paused_until=None)
    site = delivery.destination.site
    record(actor=actor, site=site, action="result.resent", subject=delivery)
    notify_workers(Queue.SEND)
    delivery.refresh_from_db()
    return delivery


@transaction.atomic
def delivery_dismiss(*, delivery: ResultDelivery, actor: User) -> None:
    """Give a dead letter or a waiting delivery up for good; raises CodedError `conflict` for another."""
    demand(actor, Permission.RESULT_MANAGE, delivery.destination.site)
    open_ones = ResultDelivery.objects.filter(pk=delivery.pk, status__in=[Status.FAILED, Status.WAITING])
    if not open_ones.update(status=Status.DISMISSED):
        raise CodedError("conflict", "This delivery has moved on.", "Reload the page.")
    record(actor=actor, site=delivery.destination.site, action="result.dismissed", subject=delivery)


def delivery_claim() -> ResultDelivery | None:
    """Claim the oldest due delivery; paused receivers and studies with an earlier one in progress wait."""
    reachable = Q(destination__paused_until=None) | Q(destination__paused_until__lte=Now())
    earlier = ResultDelivery.objects.filter(
        destination=OuterRef("destination"),
        study=OuterRef("study"),
        created_at__lt=OuterRef("created_at"),
        status__in=UNDER_WAY,
    )
    due = ResultDelivery.objects.filter(
        reachable | Q(cause=Cause.TEST), ~Exists(earlier), next_at__lte=Now(), destination__removed=False
    )
    return next(iter(due.filter(Q(destination__active=True) | Q(cause=Cause.TEST)).claim()), None)


def object_accepted(*, delivery: ResultDelivery, sent: ResultObject) -> None:
    """Remember that the receiver has this object, whatever becomes of the rest."""
    delivery.accepted.add(sent)


@transaction.atomic
def delivery_done(
    *, delivery: ResultDelivery, seconds: float, filed_as: str, accepted: int, note: str = ""
) -> bool:
    """Record a delivery; False if the lease was lost."""
    if not delivery.finish(Status.DELIVERED, filed_as=filed_as):
        return False
    DeliveryAttempt.objects.create(delivery=delivery, seconds=seconds, accepted=accepted, problem=note[:300])
    Destination.objects.filter(pk=delivery.destination_id).update(failures=0, paused_until=None)
    if delivery.cause != Cause.TEST:
        detail = {"destination": str(delivery.destination_id), "objects": accepted}
        record(
            actor=None,
            site=delivery.destination.site,
            action="result.delivered",
            subject=delivery,
            detail=detail,
        )
    return True


@transaction.atomic
def delivery_failed(
    *,
    delivery: ResultDelivery,
    code: str,
    problem: str,
    seconds: float,
    accepted: int = 0,
    final: bool = False,
    receiver_down: bool = True,
) -> bool:
    """Schedule another attempt for up to a week, or give up at once if `final`; False if the lease was lost.

    A receiver that is down is paused, so that it delays no other.
    """
    old = timezone.now() - delivery.created_at > TRIED_FOR
    final = final or old or delivery.cause == Cause.TEST
    status = Status.FAILED if final else Status.WAITING
    if not delivery.finish(status, error_code=code, next_at=Now() + pause_after(delivery.attempts)):
        return False
    DeliveryAttempt.objects.create(
        delivery=delivery, seconds=seconds, accepted=accepted, error_code=code, problem=problem[:300]
    )
    if receiver_down and delivery.cause != Cause.TEST:
        failures = delivery.destination.failures + 1
        paused = Now() + pause_after(failures)
        Destination.objects.filter(pk=delivery.destination_id).update(failures=failures, paused_until=paused)
    if final and delivery.cause != Cause.TEST:
        site, detail = delivery.destination.site, {"error": code}
        record(actor=None, site=site, action="result.given_up", subject=delivery, detail=detail)
    return True


def matches(rule: Rule, analysis: Analysis) -> bool:
    """Whether the rule asks for this result."""
    if analysis.withheld:
        return rule.withheld
    return not rule.findings or (analysis.finding or NO_FINDING) in rule.findings


def finished_analysis(scan: Scan) -> Analysis | None:
    """The scan's current analysis, if it is done."""
    analyses = scan.analyses.select_related("model_version", "calibration", "stored_cam", "scan__site")
    analysis = current_analysis(analyses)
    return analysis if analysis and analysis.status == JobStatus.DONE else None


def _wanted(site_id: uuid.UUID, when: When, asked) -> dict[Destination, list[str]]:
    """Destinations with the kinds of objects that their matching rules name together."""
    rules = Rule.objects.filter(destination__site=site_id, destination__active=True, when=when)
    kinds: dict[Destination, set[str]] = defaultdict(set)
    for rule in rules.filter(destination__removed=False).select_related("destination"):
        if asked(rule):
            kinds[rule.destination] |= set(rule.kinds)
    return {destination: sorted(found) for destination, found in kinds.items()}


def _queue(
    destination: Destination, cause: Cause, key: str, kinds: Collection[str], study: Study | None, **about
) -> ResultDelivery:
    values = {"cause": cause, "kinds": [*kinds], "study": study, **about}
    delivery, _ = ResultDelivery.objects.get_or_create(destination=destination, key=key, defaults=values)
    notify_workers(Queue.SEND)
    return delivery


def result_deliveries_tidy() -> int:
    """Delete finished deliveries that are a year old; returns how many rows went."""
    old = ResultDelivery.objects.filter(created_at__lt=timezone.now() - KEPT_FOR)
    return old.exclude(status__in=[*UNDER_WAY, Status.FAILED]).delete()[0]
