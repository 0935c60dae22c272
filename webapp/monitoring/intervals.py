"""Rates with their intervals."""

from __future__ import annotations

import math
from typing import Any

Z = 1.959964
SMALL = 20  # a group's numbers are not drawn below this many cases


def rate(count: int, of: int) -> dict[str, Any]:
    """`{"count", "of", "value", "low", "high"}` with Wilson's 95 % interval; None without a case."""
    if not of:
        return {"count": count, "of": 0, "value": None, "low": None, "high": None}
    share, square = count / of, Z * Z / of
    middle = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(share * (1 - share) / of + square / of / 4)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return {"count": count, "of": of, "value": share, "low": min(low, share), "high": max(high, share)}
