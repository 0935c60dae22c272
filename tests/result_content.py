"""What result objects are made from, made up: an image of 600 x 500 pixels with a heatmap."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, time

import numpy as np

from webapp.results.objects import (
    capture,
    encapsulated_pdf,
    key_objects,
    mark_report,
    presentation,
    reading_report,
    result_report,
)
from webapp.results.objects.content import (
    AnalysisResult,
    Document,
    FindingValue,
    Geometry,
    Maker,
    Reference,
    SavedMark,
    SignedReading,
    SourceImage,
)
from webapp.results.objects.uids import uid_of

SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.33"
AT = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
REFERENCE = Reference("1.2.3.1", "1.2.3.2", "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3.4")
EARLIER = replace(REFERENCE, series_uid="1.2.3.9", sop_class_uid=SR_CLASS, sop_uid="1.2.3.10")
SOURCE = SourceImage(
    REFERENCE,
    Geometry(600, 500, (600, 500)),
    "DX",
    "P0001",
    "HOSPITAL",
    "Müller^Jürgen",
    date(1950, 1, 2),
    "M",
    "A77",
    date(2026, 11, 20),
    time(9, 5),
    "Chest PA",
)
MAKER = Maker("Hospital 1", "0.2.0", "serial", uid_of("device", "test"))


def cam(strength: float = 1.0) -> dict:
    """A map of 6 x 5 cells of 100 pixels; four of them at `strength` of full strength."""
    grid = np.zeros((6, 5))
    grid[1:3, 1:3] = 2.0 * strength
    grids = {"pneumonia": grid.tolist(), "normal": (-grid).tolist()}
    return {"grids": grids, "affine": [100, 0, 49.5, 0, 100, 49.5], "scale": 2.0, "inside_lungs": 0.9}


def result(**changes) -> AnalysisResult:
    whole = AnalysisResult(
        id=uuid.UUID(int=5),
        finished_at=AT,
        model="cxr-3",
        model_name="hilum-cxr",
        model_sha256="ab" * 32,
        calibration="model",
        calibrated=True,
        values=[
            FindingValue("normal", 0.1, 0.5),
            FindingValue("pneumonia", 0.8123, 0.4),
            FindingValue("a_finding_with_a_long_name", 0.0877, 0.4),
        ],
        finding="pneumonia",
        warnings=["unusual_image"],
        warning_texts=["The image is unlike the images that the model was trained on."],
        uncertainty=0.4,
        prediction_set=["pneumonia"],
        cam=cam(),
    )
    return replace(whole, **changes)


WITHHELD = result(withheld="lateral_view")
READING = SignedReading(
    uuid.UUID(int=6),
    AT,
    "Doe^Jane",
    ["pneumonia", "other"],
    "Left lower lobe.\nCheck again.",
    "New",
    "cd" * 32,
)
MARKS = [
    SavedMark(uuid.UUID(int=number), AT, kind, points, text, values)
    for number, (kind, points, text, values) in enumerate(
        [
            ("length", [(10, 10), (20, 30)], "nodule", {"px": 22.4, "mm": 3.1, "mm_at": "detector"}),
            ("angle", [(10, 10), (20, 30), (5, 5)], "", {"degrees": 22.4}),
            (
                "ellipse",
                [(10, 10), (20, 50)],
                "",
                {"mean": 2.0, "sd": 1.0, "min": 0.0, "max": 4.0, "pixels": 9},
            ),
            (
                "rectangle",
                [(10, 10), (20, 50)],
                "",
                {"mean": 2.0, "sd": 1.0, "min": 0.0, "max": 4.0, "pixels": 9},
            ),
            ("probe", [(10, 10)], "", {"value": 7.5}),
            ("arrow", [(10, 10), (40, 40)], "see here", {}),
            (
                "cardiothoracic",
                [(10, 10), (40, 10), (5, 20), (90, 20)],
                "",
                {"ratio": 0.4, "heart": {"px": 30.0}, "thorax": {"px": 85.0}},
            ),
        ]
    )
]
GREY = np.tile(np.linspace(0, 255, 500).astype(np.uint8), (600, 1))
PDF = b"%PDF-1.4\n%%EOF\n"


def document(kind: str, *replaces: Reference) -> Document:
    return Document(uid_of("series", kind), uid_of("object", kind), 1, AT, replaces)


def every_object() -> dict[str, bytes]:
    """One of each kind, and those that differ for a withheld result."""
    return {
        "result": result_report.result_report(SOURCE, result(), MAKER, document("result", EARLIER)),
        "withheld": result_report.result_report(SOURCE, WITHHELD, MAKER, document("withheld")),
        "reading": reading_report.reading_report([SOURCE], READING, MAKER, document("reading")),
        "marks": mark_report.mark_report(SOURCE, "Doe^Jane", MARKS, MAKER, document("marks")),
        "overlay": capture.overlay_capture(SOURCE, result(), GREY, MAKER, document("overlay")),
        "overlay_withheld": capture.overlay_capture(SOURCE, WITHHELD, GREY, MAKER, document("overlay 2")),
        "converted": capture.converted_image(SOURCE, GREY.astype(np.uint16) * 257, MAKER, document("image")),
        "pdf": encapsulated_pdf.encapsulated_pdf(SOURCE, PDF, MAKER, document("pdf")),
        "heatmap": presentation.heatmap_presentation(SOURCE, result(), MAKER, document("heatmap")),
        "heatmap_withheld": presentation.heatmap_presentation(SOURCE, WITHHELD, MAKER, document("heatmap 2")),
        "key_images": key_objects.key_image_selection(
            SOURCE, "Doe^Jane", ["window 300/40"], MAKER, document("key images")
        ),
        "rejection": key_objects.rejection_note(SOURCE, [EARLIER], MAKER, document("rejection"), "Moved"),
    }
