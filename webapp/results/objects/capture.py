"""Images of the result as Secondary Captures: the heatmap burned in; and a PNG or JPEG upload as DICOM."""

from __future__ import annotations

import numpy as np
from highdicom import sc
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset

from classifier.contract import DISCLAIMER, finding_name
from classifier.images.heatmap import draw_heatmap
from classifier.reasons import AbstentionReason
from webapp.results.objects import codes
from webapp.results.objects.content import RESEARCH_USE, AnalysisResult, Document, Maker, SourceImage
from webapp.results.objects.dataset import TRANSFER_SYNTAX, made_by, source_dataset, written

SERIES_NUMBER, CONVERTED_SERIES_NUMBER = 9104, 1
LONGEST_SIDE = 1024


def overlay_capture(
    source: SourceImage, result: AnalysisResult, grey: np.ndarray, maker: Maker, document: Document
) -> bytes:
    """The windowed image (rows, columns) uint8 with the leading finding's heatmap, marked as research use.

    A withheld result has no heatmap: its reason is written under the image.
    """
    image = Image.fromarray(grey)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    shown = np.asarray(image)
    leading = "" if result.withheld else result.leading
    if result.cam and leading in result.cam["grids"]:
        grid = np.array(result.cam["grids"][leading]) / result.cam["scale"]
        drawn = draw_heatmap(shown, grid, result.cam["affine"], source.geometry.shown)
    else:
        drawn = np.repeat(shown[..., None], 3, axis=2)
    pixels = _marked(drawn, [f"{RESEARCH_USE}. {_summary(result)}", f"{result.model}. {DISCLAIMER}"])
    capture = sc.SCImage.from_ref_dataset(
        source_dataset(source),
        pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # replaced below
        transfer_syntax_uid=TRANSFER_SYNTAX,
        **made_by(maker, document, series_number=SERIES_NUMBER, description="AI overlay (research use)"),
    )
    _describe(capture, source)
    capture.DerivationDescription = f"{RESEARCH_USE}: {_summary(result)}"[:1024]
    capture.SourceImageSequence = [referenced(source)]
    return written(capture, source, document)


def converted_image(source: SourceImage, levels: np.ndarray, maker: Maker, document: Document) -> bytes:
    """An upload that was no DICOM file, as one: the image that all result objects about it refer to.

    `levels` (rows, columns) uint16. Its UIDs are those under which the upload was filed.
    """
    capture = sc.SCImage.from_ref_dataset(
        source_dataset(source),
        levels,
        photometric_interpretation="MONOCHROME2",
        bits_allocated=16,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # replaced below
        transfer_syntax_uid=TRANSFER_SYNTAX,
        **made_by(maker, document, series_number=CONVERTED_SERIES_NUMBER, description="Uploaded image"),
    )
    _describe(capture, source)
    return written(capture, source, document)


def _describe(capture: Dataset, source: SourceImage) -> None:
    capture.BurnedInAnnotation = "YES" if source.burned_in else "NO"
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.Laterality = ""
    capture.PatientOrientation = list(source.orientation) or ""


def _summary(result: AnalysisResult) -> str:
    if result.withheld:
        return f"Result withheld: {codes.REASONS[AbstentionReason(result.withheld)].meaning}"
    probabilities = {value.finding: value.probability for value in result.values}
    leading = result.leading
    stated = "reported" if result.finding else "not reported, most probable"
    return f"{finding_name(leading)} {probabilities[leading]:.2f} ({stated})"


def _marked(drawn: np.ndarray, lines: list[str]) -> np.ndarray:
    """The image with the lines under it, each shrunk to its width."""
    height, width = drawn.shape[:2]
    wanted = max(11, width // 48)
    fonts = []
    for line in lines:
        size = wanted
        while size > 7 and ImageFont.load_default(size).getlength(line) > width - wanted:
            size -= 1
        fonts.append(ImageFont.load_default(size))
    step = wanted * 3 // 2
    canvas = Image.new("RGB", (width, height + step * len(lines) + wanted // 2), "black")
    canvas.paste(Image.fromarray(drawn))
    pen = ImageDraw.Draw(canvas)
    for row, (line, font) in enumerate(zip(lines, fonts, strict=True)):
        pen.text((wanted // 2, height + wanted // 3 + row * step), line, fill="#ffd24a", font=font)
    return np.asarray(canvas)


def referenced(source: SourceImage) -> Dataset:
    """An item that refers to the source image."""
    item = Dataset()
    item.ReferencedSOPClassUID = source.reference.sop_class_uid
    item.ReferencedSOPInstanceUID = source.reference.sop_uid
    return item
