"""Saved measurements and marks of one person on one image as a Comprehensive SR after TID 1500."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from highdicom import sr
from pydicom.sr.coding import Code

from webapp.results.objects import codes
from webapp.results.objects.content import Document, Maker, Point, SavedMark, SourceImage
from webapp.results.objects.report_parts import person, region, report_bytes, report_content
from webapp.results.objects.uids import uid_of

SERIES_NUMBER = 9103
Value = tuple[Code, float, Code]


def mark_report(
    source: SourceImage, author: str, marks: Sequence[SavedMark], maker: Maker, document: Document
) -> bytes:
    """Each mark as a region with what was measured there; `author` is a DICOM person name."""
    groups = [group for mark in marks for group in _groups(source, mark)]
    context = sr.ObservationContext(observer_person_context=person(author, maker))
    content = report_content(context, codes.CHEST_IMAGING, groups, [])
    return report_bytes(
        [source], content, maker, document, series_number=SERIES_NUMBER, description="Measurements"
    )


def _groups(
    source: SourceImage, mark: SavedMark
) -> Iterator[sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    if mark.kind == "cardiothoracic":
        heart, thorax = mark.values["heart"], mark.values["thorax"]
        ratio = (codes.CARDIOTHORACIC_RATIO, mark.values["ratio"], codes.RATIO)
        yield _group(source, mark, mark.points[:2], "heart", codes.HEART_WIDTH, [_length(heart)], heart)
        yield _group(
            source, mark, mark.points[2:], "thorax", codes.THORAX_WIDTH, [_length(thorax), ratio], thorax
        )
    else:
        yield _group(
            source, mark, mark.points, mark.kind, codes.MARKED_PLACE, _values(mark.values), mark.values
        )


def _group(
    source: SourceImage,
    mark: SavedMark,
    points: Sequence[Point],
    part: str,
    finding: Code,
    values: Sequence[Value],
    measured: Mapping[str, Any],
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    graphic_type, shape = _shape(mark.kind, points)
    places = {"detector": codes.AT_DETECTOR, "patient": codes.IN_PATIENT}
    place = places.get(measured.get("mm_at", ""))
    name = ": ".join(filter(None, [part, mark.text]))
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=uid_of("mark", mark.id, part), identifier=name),
        referenced_region=region(source, graphic_type, source.geometry.stored(shape)),
        finding_type=finding,
        measurements=[sr.Measurement(*value) for value in values] or None,
        qualitative_evaluations=[sr.QualitativeEvaluation(codes.PLACE_MEASURED, place)] if place else None,
    )


def _shape(kind: str, points: Sequence[Point]) -> tuple[str, list[Point]]:
    """The graphic type and points (PS3.3 C.18.6.1.2) of a mark in the displayed image."""
    if kind == "probe":
        return "POINT", [*points]
    if kind not in ("rectangle", "ellipse"):
        return "POLYLINE", [*points]
    (left, right), (top, bottom) = (sorted(side) for side in np.transpose(points).tolist())
    if kind == "rectangle":
        return "POLYLINE", [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    x, y = (left + right) / 2, (top + bottom) / 2
    across: list[Point] = [(left, y), (right, y)]
    down: list[Point] = [(x, top), (x, bottom)]
    # The longer axis first.
    return "ELLIPSE", [*across, *down] if right - left >= bottom - top else [*down, *across]


def _values(values: Mapping[str, Any]) -> list[Value]:
    if "px" in values:
        return [_length(values)]
    if "degrees" in values:
        return [(codes.ANGLE, values["degrees"], codes.DEGREE)]
    if "value" in values:
        return [(codes.PIXEL_VALUE, values["value"], codes.RATIO)]
    return [(code, values[name], codes.RATIO) for name, code in codes.STATISTICS.items() if name in values]


def _length(values: Mapping[str, Any]) -> Value:
    if "mm" in values:
        return codes.LENGTH, values["mm"], codes.MILLIMETRE
    return codes.LENGTH, values["px"], codes.PIXELS
