"""Pages by where the last one ended: a deep page costs what the first one does, and no row comes twice."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from webapp.core.errors import CodedError

DEFAULT_LIMIT, MOST = 50, 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR = re.compile(r"[0-9]{1,16}-[0-9a-f]{32}")  # microseconds and key of the last row
CURSOR_SCHEMA = {"type": "string", "pattern": f"^{CURSOR.pattern}$"}


class NewestFirst(BasePagination):
    """`?limit=` and `?cursor=`; `next` is the address of the following page, null on the last.

    A view's `order` names the moment and the key to sort by, both descending.
    """

    def paginate_queryset(self, queryset: QuerySet, request: Request, view: Any = None) -> list[Any]:
        self.request = request
        page, self.mark = cut(
            queryset,
            order=getattr(view, "order", ("created_at", "pk")),
            limit=limit_of(request.query_params),
            cursor=request.query_params.get("cursor"),
        )
        return page

    def get_paginated_response(self, data: list[dict[str, Any]]) -> Response:
        here = self.request.build_absolute_uri()
        following = replace_query_param(here, "cursor", self.mark) if self.mark else None
        return Response({"next": following, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["next", "results"],
            "properties": {
                "next": {"type": ["string", "null"], "format": "uri", "description": "null on the last page"},
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        limit = {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT}
        cursor = "from the `next` of an earlier answer; opaque"
        return [
            {"name": "limit", "in": "query", "required": False, "schema": limit},
            {"name": "cursor", "in": "query", "description": cursor, "schema": CURSOR_SCHEMA},
        ]


def cut(
    rows: QuerySet, *, order: tuple[str, str], limit: int, cursor: str | None
) -> tuple[list[Any], str | None]:
    """One page of the rows, newest first, and the cursor of the next one (None on the last)."""
    moment, key = order
    rows = rows.order_by(f"-{moment}", f"-{key}")
    if cursor is not None:
        rows = _beyond(rows, moment, key, *_read(cursor))
    found = list(rows[: limit + 1])
    page = found[:limit]
    return page, _mark(page[-1], moment, key) if len(found) > limit else None


def limit_of(params: Mapping[str, str]) -> int:
    text = params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:10]) <= MOST):
        raise CodedError("invalid", fields={"limit": [f"A whole number from 1 to {MOST} is needed."]})
    return int(text)


def _mark(row: Any, moment: str, key: str) -> str:
    at = getattr(row, moment) - EPOCH
    return f"{at // timedelta(microseconds=1)}-{uuid.UUID(str(getattr(row, key))).hex}"


def _read(cursor: str) -> tuple[datetime, uuid.UUID]:
    if not CURSOR.fullmatch(cursor):
        raise CodedError("cursor_invalid")
    at, key = cursor.split("-")
    return EPOCH + timedelta(microseconds=int(at)), uuid.UUID(key)


def _beyond(rows: QuerySet, moment: str, key: str, at: datetime, last: uuid.UUID) -> QuerySet:
    older = Q(**{f"{moment}__lt": at}) | Q(**{f"{key}__lt": last})
    # The plain bound is there for the index to follow.
    return rows.filter(older, **{f"{moment}__lte": at})
