"""Searches bytes for a name: as it is, reversed, and in UTF-16 of both byte orders."""

from __future__ import annotations

import re

# How bytes and text that were taken for something else come out of a row.
_ESCAPED = re.compile(rb"\\\\u0000|\\\\x00|\\u0000|\\x00|\0")


def forms(name: str) -> list[bytes]:
    return [
        text.encode(coding) for text in (name, name[::-1]) for coding in ("ascii", "utf-16-le", "utf-16-be")
    ]


def written_as(name: str, way: int) -> bytes:
    """The name as it is (0), reversed (1), or in UTF-16 of both orders, both ways (2)."""
    plain, little, big, back, back_little, back_big = forms(name)
    return (plain, back, b"  ".join((little, big, back_little, back_big)))[way]


def where_found(kept: dict[str, bytes], name: str) -> list[str]:
    wanted = [form.lower() for form in forms(name)]
    found = []
    for where, data in kept.items():
        lower = data.lower()
        for text in (lower, _ESCAPED.sub(b"", lower)):
            at = max(text.find(form) for form in wanted)
            if at >= 0:
                found.append(f"{where}: {text[max(at - 12, 0) : at + 24]!r}")
                break
    return found
