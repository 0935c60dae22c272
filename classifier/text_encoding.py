"""Text of unknown encoding: tables of spreadsheets, names in ZIP archives."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SAMPLE_BYTES = 1 << 16
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What Windows writes outside Unicode, by the script that each is for, and how a person calls it.
LEGACY = {
    "cp1252": ("LATIN", "Windows-1252 (Western European)"),
    "cp1250": ("LATIN", "Windows-1250 (Central European)"),
    "cp1254": ("LATIN", "Windows-1254 (Turkish)"),
    "cp1257": ("LATIN", "Windows-1257 (Baltic)"),
    "cp1251": ("CYRILLIC", "Windows-1251 (Cyrillic)"),
    "cp1253": ("GREEK", "Windows-1253 (Greek)"),
    "cp1255": ("HEBREW", "Windows-1255 (Hebrew)"),
    "cp1256": ("ARABIC", "Windows-1256 (Arabic)"),
    "cp874": ("THAI", "Windows-874 (Thai)"),
    "cp932": ("KANA", "Shift-JIS (Japanese)"),
    "gb18030": ("HAN", "GB18030 (simplified Chinese)"),
    "big5": ("HAN", "Big5 (traditional Chinese)"),
    "cp949": ("HANGUL", "Windows-949 (Korean)"),
    "mac_roman": ("LATIN", "Mac Roman"),
    "cp850": ("LATIN", "DOS (Western European)"),
}
UNICODE = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-32": "UTF-32"}
UNICODE |= {"utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
LABELS = UNICODE | {name: label for name, (_, label) in LEGACY.items()}
_SCRIPTS = {"CJK": "HAN", "HIRAGANA": "KANA", "KATAKANA": "KANA", "KATAKANA-HIRAGANA": "KANA"}
_SCRIPTS |= {"HALFWIDTH": "KANA"}
_USED_WITH = {"KANA": {"KANA", "HAN"}}  # other scripts are written alone
_WORD = re.compile(r"[^\W\d_]+")
_LEGACY_BYTES = re.compile(rb"[^\n\r]*[\x80-\xff][^\n\r]*")


@dataclass(frozen=True)
class DecodedText:
    """`guessed`: several encodings fit the bytes, and this is only the most likely one."""

    text: str
    encoding: str
    guessed: bool

    @property
    def label(self) -> str:
        return LABELS[self.encoding]


def decode(
    data: bytes, *, encoding: str = "", fits: Callable[[str], bool] = lambda text: False
) -> DecodedText:
    """The text of bytes: by their mark, as UTF-8 or UTF-16, else in the likeliest encoding of `LEGACY`.

    A text that `fits` (by naming files that exist, for example) is preferred, and no guess. `encoding` is
    used instead where it is given. Raises ValueError for bytes that are no text, or not in `encoding`.
    """
    if encoding:
        return DecodedText(_decoded(data, encoding), encoding, False)
    for mark, name in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return DecodedText(_decoded(data, name), name, False)
    if name := _utf16_without_mark(data):
        return DecodedText(_decoded(data, name), name, False)
    try:
        return DecodedText(_decoded(data, "utf-8"), "utf-8", False)
    except ValueError:
        if b"\0" in data:
            raise
    candidates = list(_candidates(data))
    known = [one for one in candidates if fits(one.text)]
    if known:
        return DecodedText(known[0].text, known[0].encoding, False)
    if not candidates:
        raise ValueError("the bytes are not text in a known encoding")
    return candidates[0]


def _decoded(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        raise ValueError(f"the bytes are not {LABELS.get(encoding, encoding)} text") from None
    if "\0" in text:
        raise ValueError("the file is not text")
    return text.removeprefix("\ufeff")


def _utf16_without_mark(data: bytes) -> str:
    """ASCII characters, of which each table has many, have their zero byte on one side."""
    head = data[: SAMPLE_BYTES & ~1]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(data) % 2 or max(even, odd) < len(head) / 10:
        return ""
    return "utf-16-le" if odd > even and not even else "utf-16-be" if even > odd and not odd else ""


def _candidates(data: bytes) -> Iterator[DecodedText]:
    """The text in each encoding that fits, the likeliest first."""
    from charset_normalizer import from_bytes

    sample = b"\n".join(match[0] for match in _LEGACY_BYTES.finditer(data[: SAMPLE_BYTES * 16]))[
        :SAMPLE_BYTES
    ]
    ranked = [one.encoding for one in from_bytes(sample, cp_isolation=list(LEGACY))]
    order = [*ranked, *(name for name in LEGACY if name not in ranked)]
    found: list[tuple[float, int, DecodedText]] = []
    for name in order:
        try:
            text = _decoded(data, name)
        except ValueError:
            continue
        found.append((_improbable_words(sample, name), len(found), DecodedText(text, name, True)))
    for _, _, candidate in sorted(found, key=lambda one: one[:2]):
        yield candidate


def _improbable_words(sample: bytes, encoding: str) -> float:
    """How many of the words beyond ASCII are improbable, and how much is no letter; 0 is a likely text."""
    text = sample.decode(encoding, errors="ignore")
    others = [c for c in text if c > "\x7f"]
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    symbols = sum(not unicodedata.category(c).startswith(("L", "M")) and c != "ー" for c in others)
    if not words:
        return 1.0
    improbable = sum(_improbability(word, LEGACY[encoding][0]) for word in words)
    return improbable / len(words) + symbols / len(others)


def _improbability(word: str, script: str) -> float:
    """1 for mixed scripts, capitals after small letters, and hardly a letter of ASCII in Latin script."""
    scripts = {_script(c) for c in word if unicodedata.category(c).startswith("L")}
    own = _USED_WITH.get(script, {script})
    if script in ("KANA", "HAN", "HANGUL") and scripts & own and scripts <= own | {"LATIN"}:
        return 0.0 if scripts <= own else 0.25 if not re.search("[a-z]", word) else 1.0  # 0.25: as in 患者A
    if scripts != {script}:
        return 1.0
    if script == "LATIN" and len(word) > 2 and sum(map(str.isascii, word)) < len(word) / 2:
        return 1.0
    return float(word not in (word.lower(), word.upper(), word.capitalize(), word.title()))


def _script(character: str) -> str:
    first = unicodedata.name(character, "NONE").split(" ")[0]
    return _SCRIPTS.get(first, first)


def is_text(name: str) -> bool:
    """Whether a name that the file system gave is text; other bytes of it are surrogates (PEP 383)."""
    return not any("\udc80" <= character <= "\udcff" for character in name)


def readable(name: object) -> str:
    """A name of the file system as text that can be printed and stored: other bytes as %F6."""
    return "".join(f"%{ord(c) - 0xDC00:02X}" if "\udc80" <= c <= "\udcff" else c for c in str(name))
