"""The result of an analysis as a Comprehensive SR after TID 1500, stated by the device that made it."""

from __future__ import annotations

from typing import Any

from highdicom import sr

from classifier.contract import DISCLAIMER, finding_name
from classifier.reasons import AbstentionReason, ResultWarning
from webapp.results.objects import codes
from webapp.results.objects.content import AnalysisResult, Document, FindingValue, Maker, SourceImage
from webapp.results.objects.regions import outlines
from webapp.results.objects.report_parts import device, group_image, region, report_bytes, report_content
from webapp.results.objects.uids import uid_of

SERIES_NUMBER = 9101


def result_report(source: SourceImage, result: AnalysisResult, maker: Maker, document: Document) -> bytes:
    """The report on one image: probabilities, thresholds, heatmap regions, warnings, and the algorithm.

    A withheld result has its status and the reason, and no finding, probability or region.
    """
    groups: list[Any] = [_status(source, result)]
    if not result.withheld:
        groups += [_finding(source, result, value) for value in result.values]
        groups += _regions(source, result)
    texts = [(codes.COMMENT, text) for text in (DISCLAIMER, *result.warning_texts)]
    context = sr.ObservationContext(observer_device_context=device(maker))
    content = report_content(context, codes.CHEST_IMAGING, groups, texts)
    description = "AI result (research use)"
    return report_bytes(
        [source], content, maker, document, series_number=SERIES_NUMBER, description=description
    )


def tracking(result: AnalysisResult, part: str) -> sr.TrackingIdentifier:
    """The identifier of a part of the result, the same in every document about it."""
    return sr.TrackingIdentifier(uid=tracking_uid(result, part), identifier=f"{result.id} {part}")


def tracking_uid(result: AnalysisResult, part: str) -> str:
    return uid_of("tracking", result.id, part)


def algorithm(result: AnalysisResult) -> sr.AlgorithmIdentification:
    parameters = [f"artifact SHA-256: {result.model_sha256}", f"calibration: {result.calibration}"]
    return sr.AlgorithmIdentification(
        name=result.model_name, version=result.model, parameters=parameters, manufacturer="Hilum"
    )


def _status(source: SourceImage, result: AnalysisResult) -> sr.MeasurementsAndQualitativeEvaluations:
    """Whether a finding is reported, none, or the result withheld and why; and the warnings."""
    if result.withheld:
        reason = codes.REASONS[AbstentionReason(result.withheld)]
        stated = [(codes.RESULT_STATUS, codes.WITHHELD), (codes.WITHHELD_REASON, reason)]
    elif result.finding:
        stated = [(codes.RESULT_STATUS, codes.FINDING_REPORTED)]
    else:
        stated = [(codes.RESULT_STATUS, codes.NO_FINDING_REPORTED)]
    stated += [(codes.WARNING, codes.WARNINGS[ResultWarning(code)]) for code in result.warnings]
    measurements = []
    if result.uncertainty is not None and not result.withheld:
        measurements.append(sr.Measurement(codes.UNCERTAINTY, round(result.uncertainty, 4), codes.RATIO))
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(result, "result"),
        finding_type=codes.RESULT,
        algorithm_id=algorithm(result),
        measurements=measurements or None,
        qualitative_evaluations=[sr.QualitativeEvaluation(name, value) for name, value in stated],
        source_images=[group_image(source)],
    )


def _finding(
    source: SourceImage, result: AnalysisResult, value: FindingValue
) -> sr.MeasurementsAndQualitativeEvaluations:
    yes_or_no = [
        (codes.REPORTED, value.finding == result.finding),
        *(
            [(codes.IN_PREDICTION_SET, value.finding in result.prediction_set)]
            if result.prediction_set
            else []
        ),
    ]
    calibration = codes.CALIBRATED if result.calibrated else codes.UNCALIBRATED
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(result, value.finding),
        finding_type=codes.finding_code(value.finding),
        algorithm_id=algorithm(result),
        measurements=[
            sr.Measurement(codes.PROBABILITY, round(value.probability, 4), codes.RATIO),
            sr.Measurement(codes.THRESHOLD, round(value.threshold, 4), codes.RATIO),
        ],
        qualitative_evaluations=[
            *(sr.QualitativeEvaluation(name, codes.YES if yes else codes.NO) for name, yes in yes_or_no),
            sr.QualitativeEvaluation(codes.CALIBRATION, calibration),
        ],
        source_images=[group_image(source)],
    )


def _regions(
    source: SourceImage, result: AnalysisResult
) -> list[sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    leading = result.leading
    return [
        sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=tracking(result, f"{finding_name(leading)} heatmap {number}"),
            referenced_region=region(source, "POLYLINE", points),
            finding_type=codes.MAP_REGION,
            method=codes.CLASS_ACTIVATION,
            algorithm_id=algorithm(result),
            qualitative_evaluations=[sr.QualitativeEvaluation(codes.MAP_OF, codes.finding_code(leading))],
        )
        for number, points in enumerate(outlines(result.cam, leading, source.geometry), 1)
    ]
