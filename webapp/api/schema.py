"""The OpenAPI schema: what drf-spectacular cannot know of an operation, stated once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema

from webapp.api.serializers.base import NoBody

PREFIX = "/api/v1/"
PROBLEMS = {
    "400": "Invalid request",
    "401": "Not authenticated",
    "403": "Not permitted",
    "404": "Not found",
    "406": "Not acceptable",
    "409": "Conflict",
    "412": "Precondition failed",
    "429": "Rate limited",
    "503": "Unavailable",
}
ON_WRITES = {"411": "Length required", "413": "Too large", "415": "Unsupported media type"}
RATE = {
    "RateLimit-Limit": "requests per minute that the token has",
    "RateLimit-Remaining": "requests left in this minute",
    "RateLimit-Reset": "seconds until the limit is reset",
}
HEADERS = RATE | {"ETag": "for If-None-Match and If-Match", "Retry-After": "seconds to wait"}
WITHOUT_RATE = ("401", "406")
# Path parameters whose name is less clear than the record's.
RECORDS = {
    "item": "label case",
    "schedule": "training schedule",
    "run": "training run",
    "queue": "label queue",
}


def operation(
    name: str, *, body: type | None = None, returns: Any = None, **described: Any
) -> Callable[[Callable], Callable]:
    """Declare a handler: its name in the schema, the serializer of its body, what it returns.

    The first line of its docstring becomes the summary, the rest the description.
    """

    def declare(handler: Callable) -> Callable:
        handler.body = body or NoBody
        return extend_schema(operation_id=name, **{"request": body, "responses": returns} | described)(
            handler
        )

    return declare


def file_response(media_type: str, description: str) -> dict[tuple[int, str], OpenApiResponse]:
    return {(200, media_type): OpenApiResponse(OpenApiTypes.BINARY, description=description)}


class OperationSchema(AutoSchema):
    """Summary and description from the handler's docstring; the scope that the operation needs."""

    def get_summary(self) -> str:
        return self._docstring().partition("\n")[0].rstrip(".")

    def get_description(self) -> str:
        scope = self._scope()
        needed = f"Scope: `{scope}`." if scope else "Any token."
        return "\n\n".join(filter(None, (self._docstring().partition("\n")[2].strip(), needed)))

    def get_operation_id(self) -> str:
        return (self.method == "GET" and getattr(self.view, "name", "")) or super().get_operation_id()

    def get_response_serializers(self) -> Any:
        if self.method == "GET" and hasattr(self.view, "listed"):
            return self.view.serializer_class(many=True)
        return super().get_response_serializers()

    def get_auth(self) -> list[dict[str, list[str]]]:
        scope = self._scope()
        return [
            {name: [scope] if scope else scopes for name, scopes in one.items()} for one in super().get_auth()
        ]

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix(PREFIX).split("/")[0]]

    def _docstring(self) -> str:
        return super().get_description() or ""

    def _scope(self) -> str:
        return str(getattr(self.view, "needs", {}).get(self.method) or "")


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A postprocessing hook: problems and headers by reference, strict bodies, path parameters, nulls."""
    components = result["components"]
    components["headers"] = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()
    }
    components["responses"] = {
        status: _problem(status, text) for status, text in (PROBLEMS | ON_WRITES).items()
    }
    for name, schema in components["schemas"].items():
        if name.endswith("Request") and schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
    for method, one in _operations(result):
        problems = PROBLEMS | (ON_WRITES if method != "get" else {})
        for status, response in one["responses"].items():
            cached = {"ETag"} if method == "get" and status == "200" else set()
            response["headers"] = response.get("headers", {}) | _headers(status, cached)
        if method == "get":
            one["responses"]["304"] = {
                "description": "Not modified: the ETag in If-None-Match still holds",
                "headers": _headers("304", {"ETag"}),
            }
        one["responses"] |= {status: {"$ref": f"#/components/responses/{status}"} for status in problems}
        one["responses"] = dict(sorted(one["responses"].items()))
        if "multipart/form-data" in one.get("requestBody", {}).get("content", {}):
            one["requestBody"]["required"] = True  # each has at least a file
        for parameter in one.get("parameters", []):
            if parameter["in"] == "path" and "description" not in parameter:
                parameter["description"] = _path_parameter(parameter["name"])
    return result


def _operations(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in result["paths"].values():
        yield from methods.items()


def _problem(status: str, text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    further = {"Retry-After"} if status == "429" else set()
    return {
        "description": f"{text}: problem details (RFC 9457)",
        "headers": _headers(status, further),
        "content": {"application/problem+json": {"schema": schema}},
    }


def _headers(status: str, further: set[str]) -> dict[str, Any]:
    names = sorted(further | (set() if status in WITHOUT_RATE else set(RATE)))
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _path_parameter(name: str) -> str:
    record = name.removesuffix("_id").removesuffix("_uuid")
    return f"Hilum's UUID of the {RECORDS.get(record, record.replace('_', ' '))}"
