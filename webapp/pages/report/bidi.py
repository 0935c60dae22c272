"""Lines of text in which some words run from right to left (UAX 9), in the order in which they are drawn."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from arabic_reshaper import reshape
from bidi import get_display

RIGHT_TO_LEFT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff"
_RUN = re.compile(f"[{RIGHT_TO_LEFT}]+|\\d+(?:[.,:/-]\\d+)*|[^\\W\\d{RIGHT_TO_LEFT}]+|.", re.DOTALL)
_POINTS = re.compile("[\u0591-\u05bd\u05bf-\u05c7\u064b-\u065f\u0670]")
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"), ("«", "»"))
HAS_RIGHT_TO_LEFT = re.compile(f"[{RIGHT_TO_LEFT}]")
# Characters of one direction each, by which a run is found again after the reordering.
_STAND_INS = {
    "R": [chr(c) for c in range(0x10800, 0x10D00) if unicodedata.bidirectional(chr(c)) == "R"],
    "L": [chr(c) for c in range(0x4E00, 0x5200)],
    "EN": [chr(c) for c in range(0x1D7CE, 0x1D800)],
}


def is_right_to_left(text: str) -> bool:
    """Whether the text begins from the right: by its first letter with a direction (UAX 9, P2)."""
    found = (unicodedata.bidirectional(c) for c in text)
    return next((kind != "L" for kind in found if kind in ("L", "R", "AL")), False)


def runs_as_drawn(line: str, *, from_right: bool) -> Iterator[str]:
    """The runs of a line from left to right, as drawn: Arabic letters joined, brackets mirrored."""
    stood_for: dict[str, str] = {}
    used = dict.fromkeys(_STAND_INS, 0)
    text = ""
    for run in _RUN.findall(line):
        kind = _kind(run)
        if kind and used[kind] < len(_STAND_INS[kind]):
            stand_in = _STAND_INS[kind][used[kind]]
            used[kind] += 1
            stood_for[stand_in] = run
            text += stand_in
        else:
            text += run
    for character in _mirrored(get_display(text, base_dir="R" if from_right else "L")):
        run = stood_for.get(character, character)
        yield _turned(run) if HAS_RIGHT_TO_LEFT.match(run) and not run[0].isdigit() else run


def _turned(run: str) -> str:
    """The letters of a run from left to right, joined where they are Arabic, without points (vowel signs)."""
    return "".join(reversed(_POINTS.sub("", reshape(run))))


def _mirrored(text: str) -> str:
    """The text with the brackets turned that were reordered: those that close before they open."""
    drawn = list(text)
    for opening, closing in _BRACKETS:
        opened = turned = 0
        for at, character in enumerate(text):
            if character == closing and not opened:
                drawn[at], turned = opening, turned + 1
            elif character == opening and turned:
                drawn[at], turned = closing, turned - 1
            else:
                opened += (character == opening) - (character == closing)
    return "".join(drawn)


def _kind(run: str) -> str:
    if HAS_RIGHT_TO_LEFT.match(run):
        # Arabic digits stand in this block too, and run from the left.
        return "EN" if run[0].isdigit() else "R"
    if run[0].isdigit():
        return "EN"
    return "L" if unicodedata.bidirectional(run[0]) == "L" else ""
