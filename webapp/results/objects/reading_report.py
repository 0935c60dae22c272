"""A signed reading as a Comprehensive SR after TID 1500, stated by the person who signed it."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom import sr

from webapp.results.objects import codes
from webapp.results.objects.content import Document, Maker, SignedReading, SourceImage
from webapp.results.objects.report_parts import group_image, person, report_bytes, report_content
from webapp.results.objects.uids import uid_of

SERIES_NUMBER = 9102


def reading_report(
    sources: Sequence[SourceImage], reading: SignedReading, maker: Maker, document: Document
) -> bytes:
    """The findings that the reader stated on these images of one study, with impression and comparison."""
    groups = [
        sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(
                uid=uid_of("tracking", reading.id, finding), identifier=f"{reading.id} {finding}"
            ),
            finding_type=codes.finding_code(finding),
            qualitative_evaluations=[sr.QualitativeEvaluation(codes.PRESENCE, codes.PRESENT)],
            source_images=[group_image(source) for source in sources],
        )
        for finding in reading.findings
    ]
    texts = [
        (codes.IMPRESSION, reading.impression),
        (codes.COMPARISON, reading.comparison),
        (codes.COMMENT, f"SHA-256 of the signed reading: {reading.sha256}" if reading.sha256 else ""),
    ]
    content = report_content(
        sr.ObservationContext(observer_person_context=person(reading.person, maker)),
        codes.CHEST_IMAGING,
        groups,
        [(name, text) for name, text in texts if text],
    )
    return report_bytes(
        sources,
        content,
        maker,
        document,
        series_number=SERIES_NUMBER,
        description="Signed reading",
        signed_by=reading.person,
    )
