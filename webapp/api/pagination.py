"""Keyset pagination: a deep page costs what the first one does, and no row is repeated or left out."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from webapp.analysis.worklist.query import COUNTED_AT_MOST
from webapp.core.errors import CodedError

DEFAULT_LIMIT, MAX_LIMIT = 50, 200
LIMIT_SCHEMA = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Time in microseconds and key of the row at the end of a page; `before-` where the page lies before it.
CURSOR = re.compile(r"(before-)?([0-9]{1,16})-([0-9a-f]{32})")
URL_OR_NULL = {"type": ["string", "null"], "format": "uri"}


class Envelope(BasePagination):
    """`{next, previous, count, results}`, with everything on one page."""

    next = previous = count = None

    def paginate_queryset(self, rows: Sequence[Any], request: Request, view: Any = None) -> list[Any]:
        rows = list(rows)
        self.count = len(rows)
        return rows

    def get_paginated_response(self, data: list[Any]) -> Response:
        return Response({"next": self.next, "previous": self.previous, "count": self.count, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        described = {
            "next": URL_OR_NULL | {"description": "URL of the next page; null on the last"},
            "previous": URL_OR_NULL | {"description": "URL of the previous page; null on the first"},
            "count": {
                "type": ["integer", "null"],
                "description": f"number of rows on all pages; null where there are more than "
                f"{COUNTED_AT_MOST:,}",
            },
            "results": schema | {"description": "the rows of this page"},
        }
        return {"type": "object", "required": list(described), "properties": described}


class KeysetPagination(Envelope):
    """Newest first; `?limit=` and `?cursor=`, for a search by POST too: `next` is POSTed with the same body.

    A view's `order` names the time and the key to sort by, both descending; its `decorate` adds to the rows
    of a page what they show.
    """

    def paginate_queryset(self, rows: QuerySet, request: Request, view: Any = None) -> list[Any]:
        self.order = time, key = view.order
        limit = limit_of(request.query_params)
        backward, position = _read(request.query_params.get("cursor"))
        self.count = rows.order_by()[: COUNTED_AT_MOST + 1].count()
        if self.count > COUNTED_AT_MOST:
            self.count = None
        ordered = rows.order_by(time, key) if backward else rows.order_by(f"-{time}", f"-{key}")
        found = list(view.decorate(_beyond(ordered, self.order, backward, position))[: limit + 1])
        page, more = found[:limit], len(found) > limit
        if backward:
            page.reverse()
        if page:
            here = request.build_absolute_uri()
            if more or backward:
                self.next = replace_query_param(here, "cursor", self._mark(page[-1]))
            if position and (more or not backward):
                self.previous = replace_query_param(here, "cursor", f"before-{self._mark(page[0])}")
        return page

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        cursor = {"type": "string", "pattern": f"^{CURSOR.pattern}$"}
        return [
            {"name": "limit", "in": "query", "description": "maximum rows per page", "schema": LIMIT_SCHEMA},
            {"name": "cursor", "in": "query", "description": "opaque; part of `next` and `previous`"}
            | {"schema": cursor},
        ]

    def _mark(self, row: Any) -> str:
        time, key = (getattr(row, name) for name in self.order)
        return f"{(time - EPOCH) // timedelta(microseconds=1)}-{uuid.UUID(str(key)).hex}"


def limit_of(params: Mapping[str, str]) -> int:
    text = params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:10]) <= MAX_LIMIT):
        raise CodedError("invalid", fields={"limit": [f"Must be an integer from 1 to {MAX_LIMIT}."]})
    return int(text)


def _read(cursor: str | None) -> tuple[bool, tuple[datetime, uuid.UUID] | None]:
    if cursor is None:
        return False, None
    found = CURSOR.fullmatch(cursor)
    if found is None:
        raise CodedError("cursor_invalid")
    return bool(found[1]), (EPOCH + timedelta(microseconds=int(found[2])), uuid.UUID(found[3]))


def _beyond(
    rows: QuerySet, order: tuple[str, str], backward: bool, position: tuple[datetime, uuid.UUID] | None
) -> QuerySet:
    if position is None:
        return rows
    (time, key), side = order, "gt" if backward else "lt"
    further = Q(**{f"{time}__{side}": position[0]}) | Q(**{f"{key}__{side}": position[1]})
    # The plain bound is there for the index to follow.
    return rows.filter(further, **{f"{time}__{side}e": position[0]})
