"""Where a scan belongs: patient, study and series by the file's header, else by the claim. The file wins.

Nothing is merged silently: a file without an identifier gets a provisional patient of its own, and whatever
differs between file, claim and patient is kept in the scan's notes.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from classifier.contract import Slot
from webapp.scans.dicom_values import parse_date, parse_datetime, parse_time, text
from webapp.scans.files import ParsedScan
from webapp.scans.models import Patient, Scan, Series, Study, Upload

OWN_UIDS = uuid.UUID("8a7c1f2e-6f0d-4e0a-9d0e-3d1b6b1c5a77")


def file_scan(upload: Upload, parsed: ParsedScan) -> Scan:
    """Create the scan of one parsed picture with its patient, study and series; call inside a transaction."""
    facts, metadata = parsed.facts, clean(parsed.facts.metadata)
    patient = _patient_for(upload, metadata, parsed.id)
    study = study_for(patient=patient, metadata=metadata, upload=upload, scan_id=parsed.id)
    zone = ZoneInfo(upload.site.timezone)
    return Scan.objects.create(
        id=parsed.id,
        site=upload.site,
        upload=upload,
        series=series_for(study=study, metadata=metadata),
        sop_instance_uid=text(metadata.get("SOPInstanceUID"), 64) or own_uid(parsed.id),
        **{name: getattr(facts, name) for name in SAME_NAMES},
        **{
            f"{kind}_{part}": getattr(file, part)
            for kind, file in parsed.files.items()
            for part in FILE_PARTS
        },
        duplicate_of=Scan.objects.filter(site=upload.site, pixel_sha256=facts.pixel_sha256)
        .order_by("received_at")
        .first(),
        view_position=text(metadata.get("ViewPosition"), 16),
        metadata=metadata,
        notes=notes_for(study=study, metadata=metadata, upload=upload, slot=facts.slot),
        acquired_at=parse_datetime(
            metadata.get("AcquisitionDateTime"), offset=metadata.get("TimezoneOffsetFromUTC"), local=zone
        )
        or (study.study_at if study.study_date else None),
        received_at=upload.created_at,
    )


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


def patient_find_or_create(
    *,
    site: Any,
    patient_id: str,
    issuer: str = "",
    name: str = "",
    sex: str = "",
    birth_date: date | None = None,
    provisional: bool = False,
) -> Patient:
    """The site's patient of that identifier and issuer; what was unknown of them so far is filled in.

    Without an issuer it is the only patient of that identifier, whoever issued it.
    """
    told = {"name": name, "sex": sex, "birth_date": birth_date}
    if not issuer:
        same = Patient.objects.filter(site=site, patient_id=patient_id).values_list("issuer", flat=True)[:2]
        issuer = same[0] if len(same) == 1 else ""
    patient, created = Patient.objects.get_or_create(
        site=site, patient_id=patient_id, issuer=issuer, defaults={**told, "provisional": provisional}
    )
    news = [field for field, value in told.items() if value and not getattr(patient, field)]
    if news and not created:
        for field in news:
            setattr(patient, field, told[field])
        patient.save(update_fields=news)
    return patient


def study_for(*, patient: Patient, metadata: Mapping[str, Any], upload: Upload, scan_id: uuid.UUID) -> Study:
    """The patient's study that the file or the claim names; without a name, that of the day, else its own."""
    day = parse_date(metadata.get("StudyDate")) or upload.claimed_date
    clock = parse_time(metadata.get("StudyTime")) if parse_date(metadata.get("StudyDate")) else None
    accession = text(metadata.get("AccessionNumber"), 64)
    uid = text(metadata.get("StudyInstanceUID"), 64)
    if not uid:
        if _is_uid(upload.claimed_study):
            uid = upload.claimed_study
        else:
            accession = accession or upload.claimed_study
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
            "study_at": study_instant(day, clock, patient.site.timezone) or upload.created_at,
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


def study_instant(day: date | None, clock: time | None, zone: str) -> datetime | None:
    return datetime.combine(day, clock or time(), ZoneInfo(zone)) if day else None


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


def notes_for(*, study: Study, metadata: Mapping[str, Any], upload: Upload, slot: str) -> dict[str, Any]:
    """What a person should know of a scan that is filed to this study, as `Scan.notes` keeps it."""
    notes: dict[str, Any] = {
        "claim_differs": _claim_differences(upload, metadata, slot),
        "demographics_differ": {
            field: [str(getattr(study.patient, field)), str(value)]
            for field, value in _demographics(metadata).items()
            if value and getattr(study.patient, field) != value
        },
    }
    notes = {code: detail for code, detail in notes.items() if detail}
    same_uid = Study.objects.filter(site=study.site_id, study_instance_uid=study.study_instance_uid)
    if same_uid.exclude(pk=study.pk).exists():
        notes["study_elsewhere"] = {}
    return notes


def _patient_for(upload: Upload, metadata: Mapping[str, Any], scan_id: uuid.UUID) -> Patient:
    own, claimed = text(metadata.get("PatientID"), 64), upload.claimed_patient_id
    return patient_find_or_create(
        site=upload.site,
        patient_id=own or claimed or f"unassigned-{scan_id.hex[:12]}",
        issuer=text(metadata.get("IssuerOfPatientID"), 64) if own else "",
        provisional=not (own or claimed),
        **_demographics(metadata),
    )


def _demographics(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": text(metadata.get("PatientName"), 200),
        "sex": text(metadata.get("PatientSex"), 16),
        "birth_date": parse_date(metadata.get("PatientBirthDate")),
    }


def _claim_differences(upload: Upload, metadata: Mapping[str, Any], slot: str) -> dict[str, list[str]]:
    """What was claimed and what the file says instead, by DICOM keyword."""
    pairs = {
        "PatientID": (upload.claimed_patient_id, text(metadata.get("PatientID"), 64)),
        "StudyDate": (upload.claimed_date, parse_date(metadata.get("StudyDate"))),
        "Modality": (upload.claimed_modality, "" if slot == Slot.PHANTOM else slot),
    }
    return {
        keyword: [str(claimed), str(said)]
        for keyword, (claimed, said) in pairs.items()
        if claimed and said and claimed != said
    }


def _is_uid(value: str) -> bool:
    return "." in value and value.replace(".", "").isdecimal()
