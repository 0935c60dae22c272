"""Data types of FHIR R4 that the resources share."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from pydicom.sr.coding import Code

from webapp.results.objects import codes
from webapp.results.objects.content import SourceImage

Json = dict[str, Any]
SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "RADLEX": "http://radlex.org",
    "UCUM": "http://unitsofmeasure.org",
    codes.SCHEME: f"urn:oid:{codes.SCHEME_UID}",
}
DICOM_UID = "urn:dicom:uid"
CATEGORY_IMAGING = "http://terminology.hl7.org/CodeSystem/observation-category"
SERVICE_SECTION = "http://terminology.hl7.org/CodeSystem/v2-0074"
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"


def coding(code: Code) -> Json:
    return {"system": SYSTEMS[code.scheme_designator], "code": code.value, "display": code.meaning}


def concept(*several: Code) -> Json:
    """A CodeableConcept: the codes of one meaning in several systems."""
    return {"coding": [coding(code) for code in several], "text": several[0].meaning}


def finding_concept(finding: str) -> Json:
    radlex = codes.RADLEX.get(finding)
    return concept(codes.finding_code(finding), *([radlex] if radlex else []))


def uid_identifier(uid: str) -> Json:
    return {"system": DICOM_UID, "value": f"urn:oid:{uid}"}


def subject(source: SourceImage) -> Json:
    """A logical reference to the patient: the receiver knows them by the identifier."""
    identifier: Json = {
        "type": {"coding": [{"system": IDENTIFIER_TYPE, "code": "MR"}]},
        "value": source.patient_id,
    }
    if source.issuer:
        identifier["assigner"] = {"display": source.issuer}
    return {"type": "Patient", "identifier": identifier}


def accession(source: SourceImage) -> list[Json]:
    if not source.accession_number:
        return []
    kind = {"coding": [{"system": IDENTIFIER_TYPE, "code": "ACSN"}]}
    return [{"type": kind, "value": source.accession_number}]


def instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def day_or_time(day: date | None, clock: time | None, zone: Any) -> str:
    """A dateTime of FHIR, empty where the day is not known; a time needs an offset."""
    if day is None:
        return ""
    return instant(datetime.combine(day, clock, zone)) if clock else day.isoformat()


def reference(kind: str, key: object) -> Json:
    return {"reference": f"{kind}/{key}"}


def quantity(value: float) -> Json:
    return {"value": round(value, 4), "unit": "1", "system": SYSTEMS["UCUM"], "code": "1"}
