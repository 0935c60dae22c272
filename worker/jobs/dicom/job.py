"""What this server asks of other DICOM systems: reports of storage commitment, patients' priors."""

from __future__ import annotations

import logging

from webapp.core.errors import CodedError
from webapp.dicom.commitment import commitment_claim, commitment_done, commitment_wait, kept
from webapp.dicom.models import Commitment, PriorFetch
from webapp.dicom.network.association import PeerFailed
from webapp.dicom.network.priors import fetch_priors
from webapp.dicom.network.report import report_send
from webapp.dicom.priors import fetch_claim, fetch_done
from worker.runner import TRANSIENT, Heartbeat, Job
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

REPORT_SECONDS, FETCH_SECONDS = 180.0, 3600.0
INTERNAL = "internal"


class DicomJob(Job):
    """One report or one fetch at a time; reports first, since they are short."""

    name = "dicom"

    def step(self) -> bool:
        if commitment := commitment_claim():
            with Heartbeat(commitment, limit=REPORT_SECONDS):
                report(commitment)
            return True
        if fetch := fetch_claim():
            with Heartbeat(fetch, limit=FETCH_SECONDS):
                bring(fetch)
            return True
        return False


def report(commitment: Commitment) -> None:
    """Report once every object is processed; a peer that does not take the report gets it later."""
    if commitment.sender.report_to is None:
        commitment.fail("no_report_address")
        return
    found = kept(commitment)
    if found.pending:
        commitment_wait(commitment=commitment)
        return
    try:
        report_send(commitment, found)
    except PeerFailed as error:
        logger.warning("%s not reported (%s): check %s", commitment, error.code, commitment.sender.report_to)
        commitment_wait(commitment=commitment, code=error.code)
        return
    commitment_done(commitment=commitment, found=found)


def bring(fetch: PriorFetch) -> None:
    try:
        counts = fetch_priors(fetch)
    except PeerFailed as error:
        logger.warning("%s failed (%s): check %s", fetch, error.code, fetch.peer)
        fetch.fail(error.code)
    except CodedError as error:
        logger.warning("%s failed (%s)", fetch, error.code)
        fetch.fail(error.code)
    except OSError as error:
        logger.warning("%s failed: %s", fetch, describe(error))
        fetch.fail("unreachable")
    except TRANSIENT:
        raise  # the lease brings it back
    except Exception as error:
        logger.error("%s failed: %s", fetch, describe(error))
        fetch.fail(INTERNAL)
    else:
        fetch_done(fetch=fetch, **vars(counts))
