"""PDF paragraphs with Chinese, Japanese and Korean parts in CID fonts.

These fonts are referenced, not embedded: PDF viewers supply one for each script.
"""

from __future__ import annotations

import re
from functools import cache
from xml.sax.saxutils import escape

from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Paragraph

KANA, HANGUL = "\u3040-\u30ff\uff66-\uff9f", "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
HAN = "\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff65"  # with the punctuation
EAST_ASIAN = re.compile(f"[{KANA}{HANGUL}{HAN}]+")
JAPANESE, KOREAN, CHINESE = "HeiseiMin-W3", "HYSMyeongJo-Medium", "STSong-Light"


def paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    """Plain text, with its line ends, as a paragraph; East Asian text is broken where it may be."""
    if not EAST_ASIAN.search(text):
        return Paragraph(_marked_up(text), style)
    return Paragraph(EAST_ASIAN.sub(lambda run: _set(run[0], text), _marked_up(text)), _breaking(style))


def _marked_up(text: str) -> str:
    return escape(text).replace("\n", "<br/>")


def _set(run: str, text: str) -> str:
    """A run in the font of its script; ideographs alone are Japanese where the text has kana."""
    script = JAPANESE if re.search(f"[{KANA}]", text) else CHINESE
    font = KOREAN if re.search(f"[{HANGUL}]", run) else script
    return f'<font name="{_registered(font)}">{run}</font>'


@cache
def _registered(font: str) -> str:
    pdfmetrics.registerFont(UnicodeCIDFont(font))
    return font


@cache
def _breaking(style: ParagraphStyle) -> ParagraphStyle:
    return ParagraphStyle(f"{style.name}-east-asian", parent=style, wordWrap="CJK")
