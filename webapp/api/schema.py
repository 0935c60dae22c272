"""The API's own description: what every operation can answer besides its result, and what it needs."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse

PROBLEM_JSON = "application/problem+json"
ALWAYS = ("400", "401", "403", "404", "406", "429", "503")
ON_WRITES = ("409", "411", "412", "413", "415")
RATE = {
    "RateLimit-Limit": "requests that the token has in a minute",
    "RateLimit-Remaining": "how many of them are left",
    "RateLimit-Reset": "seconds until all are there again",
}


class HouseSchema(AutoSchema):
    """Adds to each operation its problems (RFC 9457), its rate and ETag headers, and the scope it needs."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        scope = getattr(self.view, "needs", {}).get(self.method)
        return [
            {name: [str(scope)] if scope and name == "bearer" else scopes for name, scopes in one.items()}
            for one in super().get_auth()
        ]

    def get_description(self) -> str:
        scope = getattr(self.view, "needs", {}).get(self.method)
        said = super().get_description() or ""
        return f"{said}\n\nScope: `{scope}`." if scope else said

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        from webapp.api.serializers.problems import ProblemSerializer

        bodies = super()._get_response_bodies(direction)
        if self.method == "GET":
            bodies.setdefault("304", {"description": "Not modified: the ETag in If-None-Match still holds"})
        for code in (*ALWAYS, *(ON_WRITES if self.method != "GET" else ("409", "412"))):
            problem = OpenApiResponse(ProblemSerializer, description="Problem details (RFC 9457)")
            bodies[code] = self._get_response_for_code(problem, code, [PROBLEM_JSON], direction)
        for code, body in bodies.items():
            headers = RATE if code not in ("401", "406") else {}
            headers = headers | ({"ETag": "for If-None-Match and If-Match"} if code in ("200", "304") else {})
            headers = headers | ({"Retry-After": "seconds"} if code == "429" else {})
            body.setdefault("headers", {}).update(
                {name: {"schema": {"type": "string"}, "description": said} for name, said in headers.items()}
            )
        return dict(sorted(bodies.items()))
