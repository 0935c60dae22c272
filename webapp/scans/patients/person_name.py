"""DICOM person names (PS3.5 section 6.2.1, PN): shown, compared and searched in one way.

A name has up to three component groups, separated by `=`: alphabetic, ideographic and phonetic; each has up
to five components, separated by `^`: family, given, middle, prefix and suffix.
"""

from __future__ import annotations

import re
import unicodedata

GROUPS, COMPONENTS = 3, 5
_ACCENTS = re.compile(r"[\u0300-\u036f]")  # of Latin, Greek and Cyrillic; those of other scripts are letters
_HIRAGANA, _TO_KATAKANA = range(0x3041, 0x3097), 0x60
_ALIKE = {letter: letter + _TO_KATAKANA for letter in _HIRAGANA} | dict.fromkeys(map(ord, "'’‘ʼ`´"), None)
_SEPARATORS = re.compile(r"[\s^=,;|-]+")


def groups(name: str | None) -> list[list[str]]:
    """The three component groups with five components each, without needless spaces."""
    found = [
        [" ".join(part.split()) for part in group.split("^")] for group in (name or "").split("=")[:GROUPS]
    ]
    padded = [(group + [""] * COMPONENTS)[:COMPONENTS] for group in found]
    return padded + [[""] * COMPONENTS for _ in range(GROUPS - len(padded))]


def displayed(name: str | None) -> str:
    """The first group that is not empty, as written in lists: `DOE^Jane^M^^Jr` is DOE, Jane M, Jr."""
    for number, (family, given, middle, _, suffix) in enumerate(groups(name)):
        forenames = " ".join(filter(None, (given, middle)))
        if family or forenames:
            parts = filter(None, (family, forenames, suffix))
            return (", " if number == 0 else " ").join(parts)
    return ""


def folded(text: str) -> str:
    """The text without differences of case, width, accents, apostrophes and the two kana scripts."""
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text.translate(_ALIKE)).casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", plain)).casefold()


def search_parts(text: str) -> str:
    """The parts of a name or identifier, folded, each after a bar: `DOE^Jane` becomes `|doe|jane|`."""
    return f"|{_SEPARATORS.sub('|', folded(text)).strip('|')}|"


def search_words(text: str) -> list[str]:
    """What a person typed, word by word, with a bar where a name has a separator."""
    words = (_SEPARATORS.sub("|", folded(word)) for word in text.split())
    return [word for word in words if word.strip("|")]


def names_differ(one: str | None, other: str | None) -> bool:
    """Whether two known names differ in a group that both have, or have no group in common.

    Case, width and needless spaces do not matter; accents, suffixes and every component do.
    """
    if not (one and other):
        return False
    pairs = [
        (mine, theirs)
        for mine, theirs in zip(_compared(one), _compared(other), strict=True)
        if any(mine) and any(theirs)
    ]
    return any(mine != theirs for mine, theirs in pairs) or not pairs


def _compared(name: str) -> list[list[str]]:
    return [[unicodedata.normalize("NFKC", part).casefold() for part in group] for group in groups(name)]
