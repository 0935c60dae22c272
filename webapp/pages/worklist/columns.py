"""The worklist's columns: which there are, which a person has chosen, and how each may be sorted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

RELATIVE_DATE = _("relative date: only order and distance are real")
DESCENDING, ASCENDING = "descending", "ascending"


@dataclass(frozen=True)
class Column:
    """`sorts`: the orders that its header offers, each with its direction."""

    code: str
    label: str | Promise
    sorts: Mapping[str, str]
    standard: bool = True
    number: bool = False


COLUMNS = (
    Column("study", _("Study"), {"study": DESCENDING, "study_oldest": ASCENDING}),
    Column("view", _("View"), {}),
    Column("finding", _("Finding"), {"worst": DESCENDING}),
    Column("uncertainty", _("Uncertainty"), {"unsure": DESCENDING}),
    Column("reader", _("Reader"), {}),
    Column("received", _("Received"), {"newest": DESCENDING, "oldest": ASCENDING}, number=True),
    Column("assigned", _("Assigned to"), {}, standard=False),
    Column("accession", _("Accession number"), {}, standard=False),
    Column("modality", _("Modality"), {}, standard=False),
    Column("tags", _("Tags"), {}, standard=False),
)


def columns_of(preferences: Mapping[str, Any]) -> list[Column]:
    """The person's columns in their order; unknown codes are passed over."""
    known = {column.code: column for column in COLUMNS}
    chosen = [
        known[code] for code in dict.fromkeys(map(str, preferences["worklist_columns"])) if code in known
    ]
    return chosen or [column for column in COLUMNS if column.standard]


def headers(columns: list[Column], sort: str) -> list[dict[str, Any]]:
    """Template values of the head: the order that a click on it gives, and the present direction.

    `into_next`: why there is no result may reach into the next column, which is then empty.
    """
    found = []
    for column, after in zip(columns, [*columns[1:], None], strict=True):
        orders = list(column.sorts)
        following = (
            orders[(orders.index(sort) + 1) % len(orders)] if sort in orders else next(iter(orders), "")
        )
        found.append(
            {
                "code": column.code,
                "label": column.label,
                "number": column.number,
                "sort": following,
                "direction": column.sorts.get(sort, ""),
                "into_next": column.code == "finding" and after is not None and after.code == "uncertainty",
            }
        )
    return found


def choices(columns: list[Column]) -> list[tuple[Column, bool]]:
    """All columns, the shown ones first in their order, each with whether it is shown."""
    return [(one, True) for one in columns] + [(one, False) for one in COLUMNS if one not in columns]
