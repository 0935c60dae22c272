"""Reading uploads, patients and scans. What lies at another site does not exist for the user (404)."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Q, QuerySet

from classifier.images.age import age_in_years, day_of_study
from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.core.http.current import note_read
from webapp.core.queries import get_or_404
from webapp.scans.models import Patient, Scan, Study, Upload
from webapp.scans.patients.identity import demographics, differences
from webapp.scans.patients.person_name import search_words

DERIVED_NOTES = {"demographics_differ", "study_elsewhere", "same_sop_instance"}


def scans_visible(user: User, permission: str = "scan.view") -> QuerySet[Scan]:
    visible = for_sites(Scan.objects.all(), user, permission)
    return visible.select_related("site", "upload", "duplicate_of", "series__study__patient")


def uploads_visible(user: User, permission: str = "scan.view") -> QuerySet[Upload]:
    """Newest first."""
    return for_sites(Upload.objects.select_related("site"), user, permission).order_by("-created_at", "pk")


def patients_visible(user: User, permission: str = "scan.view") -> QuerySet[Patient]:
    return for_sites(Patient.objects.select_related("site"), user, permission)


def scan_or_404(user: User, scan_id: uuid.UUID, permission: str = "scan.view") -> Scan:
    return get_or_404(scans_visible(user, permission), scan_id)


def upload_or_404(user: User, upload_id: uuid.UUID, permission: str = "scan.view") -> Upload:
    return get_or_404(uploads_visible(user, permission), upload_id)


def patient_or_404(user: User, patient_id: uuid.UUID, permission: str = "scan.view") -> Patient:
    return get_or_404(patients_visible(user, permission), patient_id)


def scan_or_upload(record_id: uuid.UUID, user: User) -> Scan | Upload:
    """The scan with this id; until there is one, its upload. Raises CodedError `not_found`."""
    scan = scans_visible(user).filter(pk=record_id).first()
    if scan is None:
        return upload_or_404(user, record_id)
    note_read(scan)
    return scan


def patient_matches(words: str, path: str = "") -> Q:
    """Every word begins the identifier or stands in the name; `path` leads to the patient."""
    condition = Q()
    for typed in words.split():
        found = Q(**{f"{path}patient_id__istartswith": typed})
        for word in search_words(typed):
            found |= Q(**{f"{path}search_name__contains": word.rstrip("|")})
        condition &= found
    return condition


def scan_notes(scan: Scan) -> dict[str, Any]:
    """What a person should know of a scan, by code: what `Scan.notes` keeps, and how it fits its patient.

    `demographics_differ`: field to (of the patient, in the file). `study_elsewhere`: another patient of the
    site has a study of the same identifier. `same_sop_instance`: another scan of the site has the same
    SOPInstanceUID and other pixels.
    """
    notes = {code: detail for code, detail in scan.notes.items() if code not in DERIVED_NOTES}
    if differ := differences(scan.patient, demographics(scan.metadata)):
        notes["demographics_differ"] = {field: [str(a), str(b)] for field, (a, b) in differ.items()}
    same = Study.objects.filter(site=scan.site_id, study_instance_uid=scan.study.study_instance_uid)
    if same.exclude(patient=scan.study.patient_id).filter(series__scans__isnull=False).exists():
        notes["study_elsewhere"] = {}
    twins = Scan.objects.filter(site=scan.site_id, sop_instance_uid=scan.sop_instance_uid)
    if twins.exclude(pixel_sha256=scan.pixel_sha256).exists():
        notes["same_sop_instance"] = {}
    return notes


def day_of(scan: Scan) -> str | None:
    """The day of the study (ISO 8601); None where it is unknown, made up, or changed by de-identification."""
    if scan.study.date_is_relative or scan.site.deidentify_on_ingest:
        return None
    day = day_of_study(scan.metadata, seen=scan.study.study_date)
    return day.isoformat() if day else None


def patient_age(scan: Scan) -> float | None:
    """The patient's age in years at the study: by the file, completed by patient and study."""
    return age_in_years(scan.metadata, born=scan.patient.birth_date, seen=scan.study.study_date)
