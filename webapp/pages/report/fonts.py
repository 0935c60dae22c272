"""PDF paragraphs in any script: a font for each, East Asian line breaks, shaping, text from right to left.

The fonts of Chinese, Japanese and Korean are referenced, not embedded: PDF viewers supply them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

from django.utils.translation import ngettext
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph

from webapp.pages.report.bidi import HAS_RIGHT_TO_LEFT, is_right_to_left, runs_as_drawn

TYPEFACES = Path(__file__).parent / "typefaces"
KANA, HANGUL = "\u3040-\u30ff\uff66-\uff9f", "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
HAN = "\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff65"  # with the punctuation
EAST_ASIAN = re.compile(f"[{KANA}{HANGUL}{HAN}]+")
JAPANESE, KOREAN, CHINESE = "HeiseiMin-W3", "HYSMyeongJo-Medium", "STSong-Light"
# Scripts whose marks and ligatures need shaping.
_THAI, _DEVANAGARI = "\u0e00-\u0e7f", "\u0900-\u097f\ua8e0-\ua8ff\u200c\u200d"
# A word is shaped in one piece: with the signs next to its letters.
_SIGNS = "[(\\[,.;:!?)\\]/\\d-]*"
SHAPED = {
    "NotoSansThai-Regular": re.compile(f"{_SIGNS}(?:[{_THAI}]+{_SIGNS})+"),
    "NotoSansDevanagari-Regular": re.compile(f"{_SIGNS}(?:[{_DEVANAGARI}]+{_SIGNS})+"),
}
_IN_OTHER_FONTS = re.compile("|".join(found.pattern for found in (EAST_ASIAN, *SHAPED.values())))


def paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    """Plain text, with its line ends, as a paragraph; what no font has is stated as such."""
    text = _printable(text, style.fontName)
    if HAS_RIGHT_TO_LEFT.search(text):
        return _FromRight(text, style)
    if any(script.search(text) for script in SHAPED.values()):
        style = _shaping(style)
    elif EAST_ASIAN.search(text):
        style = _breaking(style)
    return Paragraph(_marked_up(text), style)


class _FromRight(Paragraph):
    """Text of which some or all runs from right to left: broken into lines first, then reordered."""

    def __init__(self, text: str, style: ParagraphStyle, **options: object) -> None:
        self._plain, self._plain_style = text, style
        super().__init__(_marked_up(text), style, **options)

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        style, drawn = self._plain_style, []
        for part in self._plain.split("\n"):
            from_right = is_right_to_left(part)
            for line in simpleSplit(part, style.fontName, style.fontSize, width - 1) or [""]:
                drawn.append("".join(runs_as_drawn(line, from_right=from_right)))
        if len(drawn) > 1 and is_right_to_left(self._plain):
            style = _right_aligned(style)
        Paragraph.__init__(self, _marked_up("\n".join(drawn)), style)
        return super().wrap(width, height)


def _marked_up(text: str) -> str:
    """The text as markup, each run in the font of its script."""
    parts, at = [], 0
    for run in _IN_OTHER_FONTS.finditer(text):
        parts += [escape(text[at : run.start()]), f'<font name="{_font_of(run[0], text)}">{run[0]}</font>']
        at = run.end()
    return "".join([*parts, escape(text[at:])]).replace("\n", "<br/>")


def _font_of(run: str, text: str) -> str:
    """The font of a run; ideographs alone are Japanese where the text has kana."""
    for font, script in SHAPED.items():
        if script.match(run):
            return _embedded(font)
    script = JAPANESE if re.search(f"[{KANA}]", text) else CHINESE
    return _registered(KOREAN if re.search(f"[{HANGUL}]", run) else script)


def _printable(text: str, font: str) -> str:
    """The text with a note in the place of the characters that none of the fonts has."""
    known = pdfmetrics.getFont(font).face.charToGlyph
    missing = "".join(
        re.escape(c)
        for c in sorted(set(text))
        if ord(c) not in known and not _IN_OTHER_FONTS.match(c) and c != "\n"
    )
    if not missing:
        return text

    def note(run: re.Match[str]) -> str:
        number = len(run[0].replace(" ", ""))
        return ngettext("[%d character not printable]", "[%d characters not printable]", number) % number

    return re.sub(f"[{missing}](?:[{missing} ]*[{missing}])?", note, text)


@cache
def _registered(font: str) -> str:
    pdfmetrics.registerFont(UnicodeCIDFont(font))
    return font


@cache
def _embedded(font: str) -> str:
    pdfmetrics.registerFont(TTFont(font, str(TYPEFACES / f"{font}.ttf")))
    return font


@cache
def _breaking(style: ParagraphStyle) -> ParagraphStyle:
    return ParagraphStyle(f"{style.name}-east-asian", parent=style, wordWrap="CJK")


@cache
def _shaping(style: ParagraphStyle) -> ParagraphStyle:
    return ParagraphStyle(f"{style.name}-shaped", parent=style, shaping=1)


@cache
def _right_aligned(style: ParagraphStyle) -> ParagraphStyle:
    return ParagraphStyle(f"{style.name}-from-right", parent=style, alignment=TA_RIGHT)
