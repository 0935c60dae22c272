"""Whose data a record is: the way from each kind of record to its patient."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Model

_OF_SCAN = "scan__series__study__patient"
# By label, since this application knows nothing of those above it.
PATIENT_OF = {
    "scans.patient": "pk",
    "scans.study": "patient",
    "scans.series": "study__patient",
    "scans.scan": "series__study__patient",
    "scans.upload": "scans__series__study__patient",
    "scans.patientmerge": "target",
    "analysis.analysis": _OF_SCAN,
    "analysis.explanation": f"analysis__{_OF_SCAN}",
    "analysis.studysummary": "study__patient",
    "labels.queueitem": _OF_SCAN,
    "labels.label": _OF_SCAN,
    "labels.imagemark": _OF_SCAN,
    "labels.keyimage": _OF_SCAN,
    "labels.reading": "study__patient",
}


def loaded_patient(record: Model | None) -> UUID | None:
    """The patient of a record as far as it was read with it; None where the database would be asked."""
    if record is None or not (path := PATIENT_OF.get(record._meta.label_lower)):
        return None
    *relations, last = path.split("__")
    for name in relations:
        found = record._state.fields_cache.get(name)
        if not isinstance(found, Model):
            return None
        record = found
    key = record.pk if last == "pk" else getattr(record, f"{last}_id")
    return key if isinstance(key, UUID) else None


def patient_of(record: Model) -> UUID | None:
    """The patient of a record, with one query where it was read without; None for what is nobody's."""
    path = PATIENT_OF.get(record._meta.label_lower)
    if path is None:
        return None
    known = loaded_patient(record)
    if known is not None:
        return known
    rows = type(record)._base_manager.filter(pk=record.pk)
    found: UUID | None = rows.values_list(path, flat=True).first()
    return found
