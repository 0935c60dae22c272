"""Results as FHIR R4 resources, shaped after HL7's guide "DICOM SR to FHIR Resource Mapping".

A measurement group becomes an Observation, its measurements and evaluations are components; the document is
a DiagnosticReport, the algorithm a Device. A corrected result keeps its id: it replaces the earlier one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from uuid import UUID

from classifier.contract import DISCLAIMER, finding_name
from classifier.reasons import ADVICE, AbstentionReason, ResultWarning
from webapp.results.fhir.parts import (
    CATEGORY_IMAGING,
    SERVICE_SECTION,
    Json,
    accession,
    coding,
    concept,
    day_or_time,
    finding_concept,
    instant,
    quantity,
    reference,
    subject,
    uid_identifier,
)
from webapp.results.objects import codes
from webapp.results.objects.content import AnalysisResult, FindingValue, SignedReading, SourceImage
from webapp.results.objects.result_report import tracking_uid

IMAGING = {"coding": [{"system": CATEGORY_IMAGING, "code": "imaging"}]}
RADIOLOGY = {"coding": [{"system": SERVICE_SECTION, "code": "RAD"}]}
LONGEST_ID = 64


def device(model: UUID, result: AnalysisResult) -> Json:
    """The model version as a Device (R4 8.12); its id is that of the model version."""
    return {
        "resourceType": "Device",
        "id": str(model),
        "identifier": [{"system": "urn:hilum:artifact-sha256", "value": result.model_sha256}],
        "status": "active",
        "manufacturer": "Hilum",
        "deviceName": [{"name": result.model_name, "type": "model-name"}],
        "version": [{"value": result.model}],
        "note": [{"text": DISCLAIMER}],
    }


def imaging_study(study: UUID, sources: Sequence[SourceImage], zone) -> Json:
    """The images of a study that results are about."""
    first = sources[0]
    series: dict[str, Json] = {}
    for source in sources:
        entry = series.setdefault(
            source.reference.series_uid,
            {
                "uid": source.reference.series_uid,
                "modality": coding(_modality(source.modality)),
                "instance": [],
            },
        )
        sop_class = {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{source.reference.sop_class_uid}"}
        entry["instance"].append({"uid": source.reference.sop_uid, "sopClass": sop_class})
    resource = {
        "resourceType": "ImagingStudy",
        "id": str(study),
        "identifier": [uid_identifier(first.reference.study_uid), *accession(first)],
        "status": "available",
        "subject": subject(first),
        "numberOfSeries": len(series),
        "numberOfInstances": len(sources),
        "series": list(series.values()),
    }
    if started := day_or_time(first.study_date, first.study_time, zone):
        resource["started"] = started
    if first.study_description:
        resource["description"] = first.study_description
    return resource


def observations(
    scan: UUID, study: UUID, model: UUID, source: SourceImage, result: AnalysisResult
) -> list[Json]:
    """The result as a whole, and one Observation for each finding unless it is withheld."""
    shared = {
        "resourceType": "Observation",
        "status": "preliminary",
        "category": [IMAGING],
        "subject": subject(source),
        "effectiveDateTime": instant(result.finished_at),
        "issued": instant(result.finished_at),
        "device": reference("Device", model),
        "derivedFrom": [reference("ImagingStudy", study)],
        "note": [{"text": DISCLAIMER}],
    }
    made = [shared | _status(scan, result)]
    if not result.withheld:
        made += [shared | _finding(scan, result, value) for value in result.values]
    return made


def observation_id(scan: UUID, part: str) -> str:
    """An id of at most 64 characters of A-Z, a-z, 0-9, `-` and `.`."""
    name = f"{scan.hex}.{part.replace('_', '-')}"
    if len(name) <= LONGEST_ID and name.isascii():
        return name
    return f"{scan.hex}.{hashlib.sha256(part.encode()).hexdigest()[:24]}"


def result_report(
    scan: UUID, study: UUID, source: SourceImage, result: AnalysisResult, observed: list[Json]
) -> Json:
    """The result of one scan as a DiagnosticReport; `preliminary`: no person has verified it."""
    return {
        "resourceType": "DiagnosticReport",
        "id": str(scan),
        "identifier": accession(source),
        "status": "preliminary",
        "category": [RADIOLOGY],
        "code": concept(codes.CHEST_REPORT),
        "subject": subject(source),
        "effectiveDateTime": instant(result.finished_at),
        "issued": instant(result.finished_at),
        "result": [reference("Observation", one["id"]) for one in observed],
        "imagingStudy": [reference("ImagingStudy", study)],
        "conclusion": f"{conclusion_of(result)} {DISCLAIMER}",
    } | ({} if source.accession_number else {"identifier": [uid_identifier(tracking_uid(result, "result"))]})


def reading_report(
    first: UUID, study: UUID, source: SourceImage, reading: SignedReading, *, corrected: bool
) -> Json:
    """A signed reading as a DiagnosticReport; `first` is the first reading of its line of corrections."""
    family, _, given = reading.person.partition("^")
    names = {"family": family} | ({"given": [given]} if given else {})
    parts = [", ".join(finding_name(finding) for finding in reading.findings), reading.impression]
    if reading.comparison:
        parts.append(f"Comparison: {reading.comparison}")
    return {
        "resourceType": "DiagnosticReport",
        "id": str(first),
        "contained": [{"resourceType": "Practitioner", "id": "reader", "name": [names]}],
        "identifier": accession(source) or [uid_identifier(source.reference.study_uid)],
        "status": "corrected" if corrected else "final",
        "category": [RADIOLOGY],
        "code": concept(codes.CHEST_REPORT),
        "subject": subject(source),
        "effectiveDateTime": instant(reading.signed_at),
        "issued": instant(reading.signed_at),
        "performer": [{"reference": "#reader"}],
        "resultsInterpreter": [{"reference": "#reader"}],
        "imagingStudy": [reference("ImagingStudy", study)],
        "conclusion": "\n".join(filter(None, parts)),
        "conclusionCode": [finding_concept(finding) for finding in reading.findings],
    }


def transaction(resources: Sequence[Json]) -> Json:
    """A bundle that creates or replaces all of them, or none."""
    entries = [
        {
            "fullUrl": f"urn:hilum:{one['resourceType']}:{one['id']}",
            "resource": one,
            "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
        }
        for one in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def conclusion_of(result: AnalysisResult) -> str:
    """The result in a sentence: for a withheld one the reason, never a finding."""
    if result.withheld:
        return f"No AI result: {ADVICE[AbstentionReason(result.withheld)].problem}"
    if not result.finding:
        return "AI result: no finding reaches its threshold."
    probability = next(v.probability for v in result.values if v.finding == result.finding)
    return f"AI result: {finding_name(result.finding)}, probability {probability:.2f}."


def _status(scan: UUID, result: AnalysisResult) -> Json:
    status = codes.FINDING_REPORTED if result.finding else codes.NO_FINDING_REPORTED
    components = [
        {"code": concept(codes.WARNING), "valueCodeableConcept": concept(codes.WARNINGS[ResultWarning(code)])}
        for code in result.warnings
    ]
    if result.withheld:
        status = codes.WITHHELD
        reason = codes.REASONS[AbstentionReason(result.withheld)]
        components.insert(
            0, {"code": concept(codes.WITHHELD_REASON), "valueCodeableConcept": concept(reason)}
        )
    elif result.uncertainty is not None:
        components.append({"code": concept(codes.UNCERTAINTY), "valueQuantity": quantity(result.uncertainty)})
    return {
        "id": observation_id(scan, "result"),
        "identifier": [uid_identifier(tracking_uid(result, "result"))],
        "code": concept(codes.RESULT_STATUS),
        "valueCodeableConcept": concept(status),
        **({"component": components} if components else {}),
    }


def _finding(scan: UUID, result: AnalysisResult, value: FindingValue) -> Json:
    yes_or_no = {codes.REPORTED: value.finding == result.finding}
    if result.prediction_set:
        yes_or_no[codes.IN_PREDICTION_SET] = value.finding in result.prediction_set
    calibration = codes.CALIBRATED if result.calibrated else codes.UNCALIBRATED
    return {
        "id": observation_id(scan, value.finding),
        "identifier": [uid_identifier(tracking_uid(result, value.finding))],
        "code": finding_concept(value.finding),
        "method": concept(codes.PROBABILITY),
        "valueQuantity": quantity(value.probability),
        "component": [
            {"code": concept(codes.THRESHOLD), "valueQuantity": quantity(value.threshold)},
            *(
                {"code": concept(code), "valueCodeableConcept": concept(codes.YES if yes else codes.NO)}
                for code, yes in yes_or_no.items()
            ),
            {"code": concept(codes.CALIBRATION), "valueCodeableConcept": concept(calibration)},
        ],
    }


def _modality(modality: str):
    return codes.Code(modality, "DCM", modality)
