"""A report as PDF, drawn by reportlab on A4."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from django.utils import timezone
from django.utils.translation import gettext as _
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Image, KeepTogether, SimpleDocTemplate, Spacer, Table

from webapp.pages.display import name_of_finding
from webapp.pages.report.content import Facts, Report
from webapp.pages.report.fonts import paragraph
from webapp.pages.report.images import as_png

INK, QUIET, LINE, GROUND = (HexColor(c) for c in ("#161c22", "#4d5b67", "#d5dce3", "#f1f4f7"))
MARGIN = 16 * mm
WIDTH = A4[0] - 2 * MARGIN - 12  # the frame's own padding
TALLEST = 92 * mm


def pdf_of(report: Report, image: np.ndarray, key_images: Sequence[np.ndarray] = ()) -> bytes:
    """The report with its image; every page carries the disclaimer and the page's number."""
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=14 * mm,
        bottomMargin=18 * mm,
        title=_("Hilum: AI second-reader report"),
        author="Hilum",
        lang="en",
    )
    foot = _foot_of(report)
    document.build(list(_story(report, image, key_images)), onFirstPage=foot, onLaterPages=foot)
    return buffer.getvalue()


def _story(report: Report, image: np.ndarray, key_images: Sequence[np.ndarray]) -> Any:
    style = _styles()
    yield paragraph(_("AI second-reader report"), style["title"])
    yield _notice(report, style)
    yield _facts([*_pairs(report.patient, report.study)], style)
    yield Spacer(1, 4 * mm)
    yield _image(image)
    if report.legend:
        yield paragraph(report.legend, style["fine"])
    yield Spacer(1, 3 * mm)
    yield from _result(report, style)
    for note in [*report.notes, *filter(None, [report.others])]:
        yield paragraph(note, style["fine"])
    if report.marks:
        yield _marks(report, style)
    for values, view in zip(report.key_images, key_images, strict=True):
        yield _key_image(values, view, style)
    yield paragraph(_("Reading"), style["heading"])
    for reading in report.readings:
        yield _reading(reading, style)
    if not report.readings:
        yield paragraph(_("No reading has been signed for this study."), style["text"])
    if report.model:
        rows = [[paragraph(k, style["fine"]), paragraph(v, style["mono"])] for k, v in report.model]
        yield KeepTogether(
            [paragraph(_("Model and hashes"), style["heading"]), _table(rows, [32 * mm, WIDTH - 32 * mm])]
        )


def _result(report: Report, style: dict[str, ParagraphStyle]) -> Any:
    yield paragraph(report.state.sentence, style["heading"])
    for warning in report.warnings:
        yield paragraph(f"{warning.text} {warning.remedy}", style["text"])
    if report.state.remedy:
        yield paragraph(report.state.remedy, style["text"])
    if report.bars:
        yield _findings(report, style)


def _notice(report: Report, style: dict[str, ParagraphStyle]) -> Flowable:
    text = report.disclaimer + (" " + _("The image is simulated.") if report.synthetic else "")
    table = Table([[paragraph(text, style["strong"])]], colWidths=[WIDTH])
    table.setStyle([("BACKGROUND", (0, 0), (-1, -1), GROUND), ("LINEBEFORE", (0, 0), (0, -1), 2, INK)])
    return KeepTogether([Spacer(1, 2 * mm), table, Spacer(1, 3 * mm)])


def _pairs(left: Facts, right: Facts) -> Any:
    for number in range(max(len(left), len(right))):
        yield [
            *(left[number] if number < len(left) else ("", "")),
            *(right[number] if number < len(right) else ("", "")),
        ]


def _facts(rows: list[list[str]], style: dict[str, ParagraphStyle]) -> Flowable:
    cells = [
        [paragraph(text, style["fine" if place % 2 == 0 else "text"]) for place, text in enumerate(row)]
        for row in rows
    ]
    return _table(cells, [22 * mm, WIDTH * 0.36, 31 * mm, WIDTH * 0.64 - 53 * mm])


def _findings(report: Report, style: dict[str, ParagraphStyle]) -> Flowable:
    calibrated = _("Calibrated probability") if report.calibrated else _("Uncalibrated score")
    threshold = _("Site threshold") if report.at_site else _("Model threshold")
    measured = _("Performance at this site") if report.at_site else _("Validation performance")
    heads = [_("Finding"), calibrated, threshold, measured, ""]
    rows = [[paragraph(head, style["fine"]) for head in heads]]
    for bar in report.bars:
        name = style["strong" if bar.reported else "text"]
        rows.append(
            [
                paragraph(name_of_finding(bar.finding), name),
                paragraph(f"{bar.probability:.2f}", name),
                paragraph(f"{bar.threshold:.2f}", style["text"]),
                paragraph(bar.working_point or "–", style["fine"]),
                paragraph(_("reported") if bar.reported else "", style["text"]),
            ]
        )
    table = _table(rows, [34 * mm, 34 * mm, 36 * mm, WIDTH - 124 * mm, 20 * mm])
    lines: list[Flowable] = [table]
    if report.prediction_set:
        lines.append(paragraph(_("Prediction set: %s") % report.prediction_set, style["text"]))
    if report.uncertainty:
        lines.append(paragraph(_("Uncertainty: %s") % report.uncertainty, style["fine"]))
    if report.limits:
        lines.append(paragraph(report.limits, style["text"]))
    return KeepTogether(lines)


def _marks(report: Report, style: dict[str, ParagraphStyle]) -> Flowable:
    rows = [[paragraph(head, style["fine"]) for head in (_("Mark"), _("Value"), _("Saved by"))]]
    for mark in report.marks:
        saved = f"{mark['signed_as']}, {timezone.localtime(mark['saved_at']):%Y-%m-%d %H:%M}"
        what = f"{mark['number']}. " + ": ".join(filter(None, [mark["kind"], mark["text"]]))
        rows.append(
            [
                paragraph(what, style["text"]),
                paragraph(mark["value"] or "–", style["text"]),
                paragraph(saved, style["fine"]),
            ]
        )
    heading = paragraph(_("Measurements and marks"), style["heading"])
    return KeepTogether([heading, _table(rows, [50 * mm, WIDTH - 100 * mm, 50 * mm])])


def _key_image(values: dict[str, Any], view: np.ndarray, style: dict[str, ParagraphStyle]) -> Flowable:
    saved = f"{values['signed_as']}, {timezone.localtime(values['saved_at']):%Y-%m-%d %H:%M}"
    text = ": ".join([_("Key image"), values["text"]])
    return KeepTogether(
        [Spacer(1, 2 * mm), _image(view, 60 * mm), paragraph(f"{text} ({saved})", style["fine"])]
    )


def _reading(reading: dict[str, Any], style: dict[str, ParagraphStyle]) -> Flowable:
    signed = f"{reading['signed_as']}, {timezone.localtime(reading['signed_at']):%Y-%m-%d %H:%M %Z}"
    lines = [paragraph(reading["findings"], style["strong"])]
    for head, text in ((_("Impression"), reading["comment"]), (_("Comparison"), reading["comparison"])):
        if text:
            lines += [paragraph(head, style["fine"]), paragraph(text, style["text"])]
    lines.append(paragraph(_("Signed: %s") % signed, style["text"]))
    lines.append(paragraph(_("SHA-256: %s") % reading["sha256"], style["mono"]))
    if reading["elsewhere"]:
        text = _("When this reading was signed, the images belonged to another study.")
        lines.append(paragraph(text, style["fine"]))
    return KeepTogether([*lines, Spacer(1, 2 * mm)])


def _image(image: np.ndarray, tallest: float = TALLEST) -> Flowable:
    height, width = image.shape[:2]
    scale = min(WIDTH / width, tallest / height)
    return Image(io.BytesIO(as_png(image)), width * scale, height * scale)


def _table(rows: list[list[Any]], widths: list[float]) -> Table:
    table = Table(rows, colWidths=widths)
    table.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.3, LINE),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ]
    )
    return table


def _foot_of(report: Report) -> Any:
    made = _("Generated with Hilum by %(who)s, %(when)s") % {
        "who": report.created_by,
        "when": f"{report.made_at:%Y-%m-%d %H:%M %Z}",
    }

    def foot(canvas: Any, document: Any) -> None:
        canvas.saveState()
        for text, height in ((report.disclaimer, 9 * mm), (made, 5.5 * mm)):
            line = paragraph(text, _styles()["fine"])
            line.wrap(WIDTH - 20 * mm, 10 * mm)
            line.drawOn(canvas, MARGIN, height - 2.5)
        canvas.setFont("Hilum", 7.5)
        canvas.setFillColor(QUIET)
        canvas.drawRightString(A4[0] - MARGIN, 5.5 * mm, _("Page %d") % document.page)
        canvas.restoreState()

    return foot


@cache
def _styles() -> dict[str, ParagraphStyle]:
    """Paragraph styles in DejaVu, part of Matplotlib: the built-in fonts of PDF cover Western Europe only."""
    spec = importlib.util.find_spec("matplotlib")
    folder = Path(str(spec.submodule_search_locations[0])) / "mpl-data" / "fonts" / "ttf"
    for name, file in (
        ("Hilum", "DejaVuSans"),
        ("Hilum-Bold", "DejaVuSans-Bold"),
        ("Hilum-Mono", "DejaVuSansMono"),
    ):
        pdfmetrics.registerFont(TTFont(name, str(folder / f"{file}.ttf")))
    plain = {"fontName": "Hilum", "fontSize": 8.5, "leading": 11.5, "textColor": INK}
    return {
        "title": ParagraphStyle("title", **plain | {"fontName": "Hilum-Bold", "fontSize": 15, "leading": 19}),
        "heading": ParagraphStyle(
            "heading",
            **plain | {"fontName": "Hilum-Bold", "fontSize": 10, "leading": 14},
            spaceBefore=6,
            spaceAfter=2,
        ),
        "text": ParagraphStyle("text", **plain),
        "strong": ParagraphStyle("strong", **plain | {"fontName": "Hilum-Bold"}),
        "fine": ParagraphStyle("fine", **plain | {"fontSize": 7.5, "leading": 10, "textColor": QUIET}),
        "mono": ParagraphStyle("mono", **plain | {"fontName": "Hilum-Mono", "fontSize": 7, "leading": 10}),
    }
