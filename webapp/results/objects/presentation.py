"""The heatmap's outlines over the source image as a Grayscale Softcopy Presentation State (PS3.3 A.33.1)."""

from __future__ import annotations

from highdicom import pr

from classifier.contract import finding_name
from classifier.reasons import AbstentionReason
from webapp.results.objects import codes
from webapp.results.objects.content import RESEARCH_USE, AnalysisResult, Document, Maker, SourceImage
from webapp.results.objects.dataset import (
    dicom_date,
    dicom_time,
    made_by,
    source_dataset,
    written,
)
from webapp.results.objects.regions import outlines
from webapp.results.objects.uids import uid_of

SERIES_NUMBER = 9106
LEVELS = (0.25, 0.5, 0.75)  # of full strength


def heatmap_presentation(
    source: SourceImage, result: AnalysisResult, maker: Maker, document: Document
) -> bytes:
    """Lines where the map of the leading finding has a quarter, half and three quarters of full strength.

    A withheld result, or a map that is weak everywhere, has the text alone.
    """
    image = source_dataset(source)
    origin = made_by(maker, document, series_number=SERIES_NUMBER, description="AI heatmap (research use)")
    # A presentation state has a creation time instead.
    for keyword in ("content_date", "content_time"):
        del origin[keyword]
    layer = pr.GraphicLayer("AI_HEATMAP", 1, description=RESEARCH_USE)
    leading = "" if result.withheld else result.leading
    lines = [
        pr.GraphicObject(
            "POLYLINE",
            points,
            "PIXEL",
            tracking_id=f"{result.id} heatmap {level}",
            tracking_uid=uid_of("tracking", result.id, "presentation", level, number),
        )
        for level in LEVELS
        for number, points in enumerate(outlines(result.cam, leading, source.geometry, level=level))
        if leading
    ]
    text = pr.TextObject(
        _text(result, bool(lines)), "DISPLAY", bounding_box=(0.02, 0.02, 0.6, 0.08), text_justification="LEFT"
    )
    annotation = pr.GraphicAnnotation([image], layer, graphic_objects=lines or None, text_objects=[text])
    state = pr.GrayscaleSoftcopyPresentationState(
        [image],
        content_label="AI_HEATMAP",
        content_description=RESEARCH_USE,
        graphic_annotations=[annotation],
        graphic_layers=[layer],
        content_creator_name="Hilum^AI",
        **origin,
    )
    state.Laterality = ""
    state.PresentationCreationDate = dicom_date(document.made_at.date())
    state.PresentationCreationTime = dicom_time(document.made_at.time())
    return written(state, source, document)


def _text(result: AnalysisResult, has_lines: bool) -> str:
    if result.withheld:
        return f"{RESEARCH_USE}. Result withheld: {codes.REASONS[AbstentionReason(result.withheld)].meaning}"
    strength = "lines at 25, 50 and 75 % of full strength" if has_lines else "weak everywhere"
    return f"{RESEARCH_USE}. Heatmap of {finding_name(result.leading)}: {strength}; not a lesion outline"
