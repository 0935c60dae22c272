"""A model card (JSON) as sections of text, facts and tables, whatever its structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from classifier.contract import FINDING_NAMES

ABBREVIATIONS = {"auc", "npv", "ppv", "f1", "ct", "cxr"}


@dataclass
class Section:
    """`text`: paragraphs; `facts`: pairs; `head` and `rows`: a table; `parts`: subsections."""

    title: str
    text: list[str] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    parts: list[Section] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.text or self.facts or self.rows or self.parts)


def sections(card: Mapping[str, Any]) -> list[Section]:
    """The card's top-level entries; short ones come first, in a section without a title."""
    whole = _section("", card)
    first = Section("", facts=whole.facts, head=whole.head, rows=whole.rows)
    return [section for section in (first, *whole.parts) if section]


def _section(title: str, value: Any) -> Section:
    section = Section(title)
    if isinstance(value, Mapping):
        _fill_from_mapping(section, value)
    elif _is_list_of_mappings(value):
        keys = list(dict.fromkeys(key for row in value for key in row))
        section.head = [_label(key) for key in keys]
        section.rows = [_cells(row, keys) for row in value]
    elif _is_list(value) and value and all(map(_is_list, value)):
        section.rows = [[_cell(item) for item in row] for row in value]
    elif _is_list(value):
        section.text = [_cell(item) for item in value]
    else:
        section.text = [_cell(value)]
    return section


def _fill_from_mapping(section: Section, value: Mapping[str, Any]) -> None:
    if value and all(_is_row(row) for row in value.values()):
        keys = list(dict.fromkeys(key for row in value.values() for key in row))
        section.head = ["", *map(_label, keys)]
        section.rows = [[_label(name), *_cells(row, keys)] for name, row in value.items()]
        return
    for name, item in value.items():
        if _is_short(item):
            section.facts.append((_label(name), _cell(item)))
        else:
            section.parts.append(_section(_label(name), item))


def _cells(row: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    return [_cell(row.get(key, "")) for key in keys]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_nested_list(value: Any) -> bool:
    return _is_list(value) and any(_is_list(item) or isinstance(item, Mapping) for item in value)


def _is_list_of_mappings(value: Any) -> bool:
    return _is_list(value) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _is_short(value: Any) -> bool:
    """Whether a value fits next to its name: no mapping, nested list or long text."""
    if _is_interval(value):
        return True
    return not isinstance(value, Mapping) and not _is_nested_list(value) and len(_cell(value)) <= 60


def _is_interval(value: Any) -> bool:
    """A metric with its confidence interval: `{"value": …, "low": …, "high": …}`."""
    return isinstance(value, Mapping) and set(value) == {"value", "low", "high"}


def _is_row(row: Any) -> bool:
    """Whether a mapping can be a table row: plain values and metrics only."""
    if not isinstance(row, Mapping) or _is_interval(row):
        return False
    return not any(isinstance(item, Mapping) and not _is_interval(item) for item in row.values())


def _label(name: str) -> str:
    words = str(name).replace("_", " ")
    return FINDING_NAMES.get(name) or (words.upper() if name in ABBREVIATIONS else words.capitalize())


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2g}" if 0 < abs(value) < 0.005 else f"{value:.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    if value is None:
        return "–"
    if _is_list(value):
        return ", ".join(map(_cell, value))
    if _is_interval(value):
        number, low, high = (_cell(value[part]) for part in ("value", "low", "high"))
        return number if value["low"] is None else f"{number} ({low} to {high})"
    if isinstance(value, Mapping):
        return "; ".join(f"{_label(key)} {_cell(item)}" for key, item in value.items())
    return str(value)
