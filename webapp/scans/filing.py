"""Where a scan belongs: patient, study and series by the file's header, else by the claim. The file wins.

Nothing is merged silently: a file without an identifier gets a provisional patient of its own, and what
differs between file and claim is kept in the scan's notes. `patients.identity` finds the patient.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from classifier.contract import Slot
from webapp.scans.dicom_values import parse_date, parse_datetime, parse_offset, parse_time, text
from webapp.scans.models import MergedScan, Patient, PatientMerge, Scan, Series, Study, Upload
from webapp.scans.patients.identity import demographics, lock_end, patient_named
from webapp.scans.uploads.files import KINDS, ParsedScan
from webapp.scans.uploads.stated_metadata import is_uid

OWN_UIDS = uuid.UUID("8a7c1f2e-6f0d-4e0a-9d0e-3d1b6b1c5a77")


def file_scan(upload: Upload, parsed: ParsedScan) -> Scan:
    """Create the scan of one parsed image with its patient, study and series; call inside a transaction."""
    facts, metadata = parsed.facts, with_stated(clean(parsed.facts.metadata), upload)
    patient, merges = _patient_for(upload, metadata, parsed.id)
    study = study_for(patient=patient, metadata=metadata, upload=upload, scan_id=parsed.id)
    scan = Scan.objects.create(
        id=parsed.id,
        site=upload.site,
        upload=upload,
        series=series_for(study=study, metadata=metadata),
        sop_instance_uid=text(metadata.get("SOPInstanceUID"), 64) or own_uid(parsed.id),
        **{name: getattr(facts, name) for name in SAME_NAMES},
        **{f"{kind}_{part}": getattr(parsed.files[kind], part) for kind in KINDS for part in FILE_PARTS},
        duplicate_of=Scan.objects.filter(site=upload.site, pixel_sha256=facts.pixel_sha256)
        .order_by("received_at")
        .first(),
        view_position=text(metadata.get("ViewPosition"), 16),
        metadata=metadata,
        notes=clean(facts.notes)
        | notes_for(metadata=metadata, upload=upload, slot=facts.slot, burned_in=facts.burned_in),
        acquired_at=_acquired_at(metadata, upload.site.timezone)
        or (study.study_at if study.study_date else None),
        received_at=upload.created_at,
    )
    MergedScan.objects.bulk_create(MergedScan(merge=merge, scan=scan, later=True) for merge in merges)
    return scan


def with_stated(metadata: Mapping[str, Any], upload: Upload) -> dict[str, Any]:
    """The header's values, and the stated ones where it has none."""
    stated = {
        "ViewPosition": upload.stated_view,
        "PatientSex": upload.stated_sex,
        "PatientAge": upload.stated_age,
    }
    missing = {key: value for key, value in stated.items() if value and not text(metadata.get(key), 16)}
    return {**metadata, **missing}


SAME_NAMES = (
    "slot",
    "synthetic",
    "polarity_turned",
    "rows",
    "columns",
    "slope",
    "intercept",
    "window_center",
    "window_width",
    "pixel_sha256",
)
FILE_PARTS = ("name", "sha256")


def study_for(*, patient: Patient, metadata: Mapping[str, Any], upload: Upload, scan_id: uuid.UUID) -> Study:
    """The patient's study that the file or the claim names; without a name, that of the day, else its own."""
    own = parse_date(metadata.get("StudyDate"))
    day, clock = (own, parse_time(metadata.get("StudyTime"))) if own else (upload.stated_date, None)
    offset = metadata.get("TimezoneOffsetFromUTC") if own else None
    accession = text(metadata.get("AccessionNumber"), 64)
    uid = text(metadata.get("StudyInstanceUID"), 64)
    if not uid:
        if is_uid(upload.stated_study):
            uid = upload.stated_study
        else:
            accession = accession or upload.stated_study
            known = accession and patient.studies.filter(accession_number=accession).first()
            if known:
                return known
            uid = own_uid(patient.pk, accession or (day.isoformat() if day else scan_id))
    study, _ = Study.objects.get_or_create(
        patient=patient,
        study_instance_uid=uid,
        defaults={
            "site": patient.site,
            "accession_number": accession,
            "study_date": day,
            "study_time": clock,
            "date_is_relative": own is None and upload.stated_date_relative,
            "study_at": study_instant(day, clock, patient.site.timezone, offset) or upload.created_at,
            "description": text(metadata.get("StudyDescription"), 200),
        },
    )
    return study


def series_for(*, study: Study, metadata: Mapping[str, Any]) -> Series:
    modality = text(metadata.get("Modality"), 16)
    uid = text(metadata.get("SeriesInstanceUID"), 64) or own_uid(study.pk, "series", modality)
    return Series.objects.get_or_create(
        study=study, series_instance_uid=uid, defaults={"modality": modality}
    )[0]


def study_instant(day: date | None, clock: time | None, zone: str, offset: object = None) -> datetime | None:
    """A local date and time as an instant: by TimezoneOffsetFromUTC, else by the site's time zone."""
    if not day:
        return None
    try:
        return datetime.combine(day, clock or time(), parse_offset(offset) or ZoneInfo(zone)).astimezone(UTC)
    except OverflowError:
        return None


def _acquired_at(metadata: Mapping[str, Any], zone: str) -> datetime | None:
    """AcquisitionDateTime, else AcquisitionDate with AcquisitionTime."""
    offset = metadata.get("TimezoneOffsetFromUTC")
    try:
        whole = parse_datetime(metadata.get("AcquisitionDateTime"), offset=offset, local=ZoneInfo(zone))
    except OverflowError:
        whole = None
    clock = parse_time(metadata.get("AcquisitionTime"))
    return whole or (
        study_instant(parse_date(metadata.get("AcquisitionDate")), clock, zone, offset) if clock else None
    )


def own_uid(*parts: object) -> str:
    """A UID of ours for what has none (PS3.5 B.2), the same for the same parts."""
    if len(parts) == 1 and isinstance(parts[0], uuid.UUID):
        return f"2.25.{parts[0].int}"
    return f"2.25.{uuid.uuid5(OWN_UIDS, '|'.join(map(str, parts))).int}"


def clean(value: Any) -> Any:
    """The same JSON value without what a JSON column cannot hold: NUL characters, NaN, infinities."""
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.replace("\0", "") if isinstance(value, str) else value


def notes_for(
    *, metadata: Mapping[str, Any], upload: Upload, slot: str, burned_in: str = ""
) -> dict[str, Any]:
    """What a person should know of the file itself, as `Scan.notes` keeps it."""
    notes = {
        "stated_differs": _stated_differences(upload, metadata, slot),
        "burned_in": {"found": burned_in} if burned_in else {},
    }
    return {code: detail for code, detail in notes.items() if detail}


def _patient_for(
    upload: Upload, metadata: Mapping[str, Any], scan_id: uuid.UUID
) -> tuple[Patient, list[PatientMerge]]:
    own, stated = text(metadata.get("PatientID"), 64), upload.stated_patient_id
    named = patient_named(
        site=upload.site,
        patient_id=own or stated or f"unassigned-{scan_id.hex[:12]}",
        issuer=text(metadata.get("IssuerOfPatientID"), 64) if own else "",
        provisional=not (own or stated),
        **demographics(metadata),
    )
    return lock_end(named)


def _stated_differences(upload: Upload, metadata: Mapping[str, Any], slot: str) -> dict[str, list[str]]:
    """The stated and the file's value where they differ, by DICOM keyword."""
    pairs = {
        "PatientID": (upload.stated_patient_id, text(metadata.get("PatientID"), 64)),
        "StudyDate": (upload.stated_date, parse_date(metadata.get("StudyDate"))),
        "Modality": (upload.stated_modality, "" if slot == Slot.PHANTOM else slot),
    }
    return {
        keyword: [str(stated), str(own)]
        for keyword, (stated, own) in pairs.items()
        if stated and own and stated != own
    }
