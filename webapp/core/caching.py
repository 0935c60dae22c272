"""How values lie in a shared cache: as JSON, since nothing that Hilum stores is ever unpickled."""

from __future__ import annotations

import json
from typing import Any


class JsonSerializer:
    """Serializer of Django's Redis cache; raises TypeError for a value that JSON cannot hold."""

    def dumps(self, value: Any) -> bytes | int:
        # Redis counts in place only what is stored as a bare number.
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, data: bytes | int) -> Any:
        return data if isinstance(data, int) else json.loads(data)
