"""Fetching a patient's priors: who asks for it, by hand or by a site's rule, and the job's results."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.dispatch import receiver
from django.utils import timezone

from webapp.accounts.models import User
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.jobs.queues import Queue, notify_workers
from webapp.core.jobs.table import JobStatus
from webapp.dicom.models import Peer, PriorFetch, Retrieve
from webapp.scans.models import Patient, Scan
from webapp.scans.signals import scans_created

# The images that a fetch brings arrive like others: they must not start another one.
NOT_AGAIN_WITHIN = timedelta(hours=12)
UNDER_WAY = (JobStatus.QUEUED, JobStatus.RUNNING)


@transaction.atomic
def priors_request(*, patient: Patient, peer: Peer, actor: User | None = None) -> PriorFetch:
    """Queue a fetch, unless one is under way. Raises CodedError `invalid` where nobody can be asked."""
    if peer.site_id != patient.site_id or not peer.active or peer.retrieve == Retrieve.NONE:
        raise CodedError("invalid", "This peer does not serve priors.", "Choose another, or enable it.")
    if reason := cannot_ask(patient):
        raise CodedError("invalid", reason, "Look for the priors in the PACS.")
    known = PriorFetch.objects.filter(patient=patient, peer=peer, status__in=UNDER_WAY).first()
    if known:
        return known
    fetch = PriorFetch.objects.create(patient=patient, peer=peer, requested_by=actor)
    record(actor=actor, site=peer.site, action="dicom.priors_requested", subject=fetch)
    notify_workers(Queue.DICOM)
    return fetch


def cannot_ask(patient: Patient) -> str:
    """Why a PACS cannot be asked for this patient; empty where it can."""
    if patient.provisional:
        return "The patient has no identifier yet."
    if patient.site.deidentify_on_ingest:
        return "This site knows its patients by pseudonyms only."
    if set(patient.patient_id) & set("*?\\"):
        return "The identifier has a character that stands for others in a search."
    return ""


@receiver(scans_created)
def fetch_automatically(sender: type[Scan], scans: list[Scan], **kwargs: Any) -> None:
    """Queue a fetch from every automatic peer of the site, once in a while for each patient."""
    for patient in {scan.patient for scan in scans}:
        for peer in Peer.objects.filter(site=patient.site_id, automatic=True, active=True):
            since = timezone.now() - NOT_AGAIN_WITHIN
            lately = PriorFetch.objects.filter(patient=patient, peer=peer, created_at__gte=since)
            if peer.retrieve != Retrieve.NONE and not cannot_ask(patient) and not lately.exists():
                priors_request(patient=patient, peer=peer)


def fetch_claim() -> PriorFetch | None:
    return next(iter(PriorFetch.objects.claim()), None)


@transaction.atomic
def fetch_done(*, fetch: PriorFetch, studies: int, retrieved: int, refused: int) -> bool:
    """Record a finished fetch; False if its lease was lost."""
    counts = {"studies": studies, "retrieved": retrieved, "refused": refused}
    if not fetch.finish(JobStatus.DONE, **counts):
        return False
    record(actor=None, site=fetch.peer.site, action="dicom.priors_fetched", subject=fetch, detail=counts)
    return True
