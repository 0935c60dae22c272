"""Storing the parts of a STOW-RS request: each is an upload, or a failure with its reason."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from classifier.errors import Refused
from classifier.images.sandbox.response import Want
from classifier.reasons import RefusalReason
from webapp.accounts.models import Site, User
from webapp.core.errors import CodedError
from webapp.dicom.multipart import Part
from webapp.dicom.parsing import inspect
from webapp.dicom.part10 import is_uid
from webapp.scans.services import store_received
from webapp.scans.uploads.files import Received, receive

logger = logging.getLogger(__name__)

MEDIA_TYPES = ("application/dicom", "application/octet-stream", "")
# PS3.18 annex I, table I.2-2, and PS3.3 C.14.1.1.
PROCESSING_FAILURE, CLASS_NOT_SUPPORTED, OUT_OF_RESOURCES = 0x0110, 0x0122, 0xA700
OTHER_STUDY, NOT_UNDERSTOOD, TOO_LARGE, OTHER_PATIENT = 0xA900, 0xC000, 0xC001, 0xC003
BY_CODE = {
    "too_large": TOO_LARGE,
    "empty_file": NOT_UNDERSTOOD,
    "patient_conflict": OTHER_PATIENT,
    "unavailable": OUT_OF_RESOURCES,
}


@dataclass(frozen=True)
class Outcome:
    """The result for one part: its UIDs as far as they are known, and why it failed; 0 where it is stored."""

    failure: int
    sop_class: str = ""
    sop_instance: str = ""
    series: str = ""
    study: str = ""


def part_store(*, user: User, site: Site, part: Part, study: str = "") -> Outcome:
    """Store one part, after `scan.upload` was checked; `study` is the only one that it may belong to.

    Raises CodedError `incomplete`: what arrived of the part is not kept.
    """
    if part.content_type not in MEDIA_TYPES:
        return Outcome(NOT_UNDERSTOOD)
    try:
        received = receive(part.chunks)
    except CodedError as error:
        if error.code == "incomplete":
            raise
        return Outcome(BY_CODE.get(error.code, PROCESSING_FAILURE))
    except OSError as error:
        logger.error("an instance was not stored: %s; check the disk of HILUM_DATA", error.strerror)
        return Outcome(OUT_OF_RESOURCES)
    try:
        return _stored(user, site, received, study)
    finally:
        received.path.unlink(missing_ok=True)


def _stored(user: User, site: Site, received: Received, study: str) -> Outcome:
    found = Outcome(0)
    try:
        facts = inspect(received.path, Want.IDENTITY).facts
        uids = {name: facts[name] for name in ("sop_class", "sop_instance", "series", "study")}
        if not all(map(is_uid, uids.values())):
            return Outcome(NOT_UNDERSTOOD)
        found = Outcome(0, **uids)
        if facts["refusal"]:
            unsupported = facts["refusal"] == RefusalReason.UNSUPPORTED_MODALITY
            return Outcome(CLASS_NOT_SUPPORTED if unsupported else NOT_UNDERSTOOD, **uids)
        if study and found.study != study:
            return Outcome(OTHER_STUDY, **uids)
        filename = f"{found.sop_instance}.dcm"
        store_received(user=user, site=site, received=received, filename=filename)
    except Refused:
        return Outcome(NOT_UNDERSTOOD)
    except CodedError as error:
        logger.warning("an instance was not stored (%s): %s", error.code, error.remedy)
        return Outcome(BY_CODE.get(error.code, PROCESSING_FAILURE), **_uids(found))
    except OSError as error:
        logger.error("an instance was not stored: %s; check the disk of HILUM_DATA", error.strerror)
        return Outcome(OUT_OF_RESOURCES, **_uids(found))
    return found


def _uids(found: Outcome) -> dict[str, str]:
    return {name: value for name, value in vars(found).items() if name != "failure"}
