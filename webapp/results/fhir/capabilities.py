"""The capability statement of `/fhir/`."""

from __future__ import annotations

from django.conf import settings

from classifier.contract import DISCLAIMER
from webapp.results.fhir.parts import Json

SEARCH = [
    {
        "name": "identifier",
        "type": "token",
        "documentation": "accession number, or the study's UID as urn:oid:",
    },
    {"name": "subject:identifier", "type": "token", "documentation": "patient ID"},
]
SEARCHABLE = ("DiagnosticReport", "ImagingStudy")
TYPES = ("DiagnosticReport", "Observation", "ImagingStudy", "Device")


def capability_statement(base: str) -> Json:
    """What the endpoint offers: reads, and searches by POST."""
    resources = []
    for kind in TYPES:
        searchable = kind in SEARCHABLE
        actions = [{"code": "read"}, *([{"code": "search-type"}] if searchable else [])]
        resources.append(
            {"type": kind, "interaction": actions, **({"searchParam": SEARCH} if searchable else {})}
        )
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-30",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "software": {"name": "Hilum", "version": settings.SPECTACULAR_SETTINGS["VERSION"]},
        "implementation": {"description": f"Hilum. {DISCLAIMER}", "url": base},
        "rest": [{"mode": "server", "documentation": "Searches by POST to _search.", "resource": resources}],
    }
