"""What the structured reports share: observers, groups, texts, and the document around the content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from highdicom import sr
from pydicom.sr.coding import Code

from webapp.results.objects.content import Document, Maker, SourceImage
from webapp.results.objects.dataset import (
    dicom_date,
    dicom_time,
    made_by,
    private_scheme,
    reference_dataset,
    source_dataset,
    written,
)

TITLE = Code("126000", "DCM", "Imaging Measurement Report")
ENGLISH = sr.CodedConcept("en", "RFC5646", "English")
DEVICE, PERSON = sr.CodedConcept("121007", "DCM", "Device"), sr.CodedConcept("121006", "DCM", "Person")


def device(maker: Maker) -> sr.ObserverContext:
    attributes = sr.DeviceObserverIdentifyingAttributes(
        uid=maker.device_uid,
        name=maker.model,
        manufacturer_name=maker.manufacturer,
        model_name=maker.model,
        serial_number=maker.serial,
        physical_location=maker.site,
    )
    return sr.ObserverContext(DEVICE, attributes)


def person(name: str, maker: Maker) -> sr.ObserverContext:
    attributes = sr.PersonObserverIdentifyingAttributes(name=name, organization_name=maker.site)
    return sr.ObserverContext(PERSON, attributes)


def report_content(
    context: sr.ObservationContext, procedure: Code, groups: Sequence[Any], texts: Sequence[tuple[Code, str]]
) -> sr.MeasurementReport:
    """TID 1500 with free texts after the groups, which the extensible template allows."""
    content = sr.MeasurementReport(
        observation_context=context,
        procedure_reported=procedure,
        imaging_measurements=groups,
        title=TITLE,
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(ENGLISH),
    )
    for name, value in texts:
        text = sr.TextContentItem(name, value, sr.RelationshipTypeValues.CONTAINS)
        content[0].ContentSequence.append(text)
    return content


def report_bytes(
    sources: Sequence[SourceImage],
    content: sr.MeasurementReport,
    maker: Maker,
    document: Document,
    *,
    series_number: int,
    description: str,
    signed_by: str = "",
) -> bytes:
    """A Comprehensive SR with this content; `signed_by`: the person who accounts for it."""
    signed = bool(signed_by)
    report = sr.ComprehensiveSR(
        evidence=[source_dataset(source) for source in sources],
        content=content,
        is_complete=True,
        is_final=signed,
        is_verified=signed,
        verifying_observer_name=signed_by or None,
        verifying_organization=maker.site[:64] if signed else None,
        previous_versions=[reference_dataset(one) for one in document.replaces] or None,
        coding_schemes=private_scheme(),
        **made_by(maker, document, series_number=series_number, description=description),
    )
    if signed:
        day, clock = dicom_date(document.made_at.date()), dicom_time(document.made_at.time())
        report.VerifyingObserverSequence[0].VerificationDateTime = day + clock
    return written(report, sources[0], document)


def group_image(source: SourceImage) -> sr.SourceImageForMeasurementGroup:
    reference = source.reference
    return sr.SourceImageForMeasurementGroup(reference.sop_class_uid, reference.sop_uid)


def region(source: SourceImage, graphic_type: str, points: Any) -> sr.ImageRegion:
    """An area of the source image; points in pixels of the stored image."""
    reference = source.reference
    image = sr.SourceImageForRegion(reference.sop_class_uid, reference.sop_uid)
    return sr.ImageRegion(graphic_type, np.asarray(points, dtype=float), image)
