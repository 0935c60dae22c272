"""Request bodies and query strings in which an unknown name is an error, never ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from rest_framework import serializers

LISTED, LONGEST = 20, 60


class RequestSerializer(serializers.Serializer):
    """Base of every request body, nested ones too; reports unknown fields with the nearest known one."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping) and (unknown := unknown_names(data, self.fields)):
            raise serializers.ValidationError(unknown)
        return super().to_internal_value(data)


class NoBody(RequestSerializer):
    """The body of an operation that takes none: absent, or an empty object."""


def unknown_names(given: Iterable[str], known: Iterable[str]) -> dict[str, list[str]]:
    """What is wrong with the names that are not known, by name."""
    known = sorted(known)
    return {
        name[:LONGEST]: [_unknown(name, known)] for name in sorted(map(str, set(given) - set(known)))[:LISTED]
    }


def _unknown(name: str, known: list[str]) -> str:
    if not known:
        return "Unknown name: none is accepted here."
    near = get_close_matches(name.lower(), known, 1, 0.5)
    return f"Unknown name.{f' Did you mean {near[0]}?' if near else ''} Known: {', '.join(known)}."
