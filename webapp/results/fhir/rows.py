"""The FHIR resources of scans, studies, models and readings, from their rows."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from webapp.analysis.models import Analysis
from webapp.labels.models import Reading
from webapp.registry.models import ModelVersion
from webapp.results import content_rows
from webapp.results.deliveries import finished_analysis
from webapp.results.fhir import resources
from webapp.results.fhir.parts import Json
from webapp.results.objects.content import AnalysisResult
from webapp.scans.models import Scan, Study


def scans_of(study: Study) -> list[Scan]:
    scans = Scan.objects.filter(series__study=study).select_related("series__study__patient", "site")
    return list(scans.order_by("received_at", "pk"))


def study_resource(study: Study) -> Json:
    sources = [content_rows.source_of(scan) for scan in scans_of(study)]
    return resources.imaging_study(study.pk, sources, ZoneInfo(study.site.timezone))


def model_resource(version: ModelVersion) -> Json:
    """The Device of a model version."""
    result = AnalysisResult(
        id=version.pk,
        finished_at=version.created_at,
        model=str(version),
        model_name=version.name,
        model_sha256=version.sha256,
        calibration="model",
        calibrated=version.model_spec.calibrated,
        values=(),
    )
    return resources.device(version.pk, result)


def observation_resources(scan: Scan, analysis: Analysis) -> list[Json]:
    source, result = content_rows.source_of(scan), content_rows.result_of(analysis)
    return resources.observations(scan.pk, scan.study.pk, analysis.model_version_id, source, result)


def result_resource(scan: Scan, analysis: Analysis) -> Json:
    """The DiagnosticReport of a scan's result."""
    source, result = content_rows.source_of(scan), content_rows.result_of(analysis)
    observed = resources.observations(scan.pk, scan.study.pk, analysis.model_version_id, source, result)
    return resources.result_report(scan.pk, scan.study.pk, source, result, observed)


def reading_resource(reading: Reading) -> Json:
    """The DiagnosticReport of a reading, where its first image is filed now; corrections keep the id."""
    first = reading
    while first.supersedes:
        first = first.supersedes
    scan = reading.scans.select_related("series__study__patient", "site").order_by("received_at", "pk")[0]
    signed = content_rows.reading_of(reading)
    source = content_rows.source_of(scan)
    return resources.reading_report(
        first.pk, scan.study.pk, source, signed, corrected=reading.supersedes_id is not None
    )


def all_of(scan: Scan) -> list[Json]:
    """Everything about the result of one scan, in the order in which a receiver can resolve references."""
    analysis = finished_analysis(scan)
    if analysis is None:
        return []
    return [
        model_resource(analysis.model_version),
        *observation_resources(scan, analysis),
        result_resource(scan, analysis),
    ]
