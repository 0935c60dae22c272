"""JSON from outside."""

from __future__ import annotations

import pytest

from webapp.core.http.json_body import parse_json


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000, "{", b"\xff"])
def test_json_that_cannot_be_parsed_is_a_value_error(text) -> None:
    with pytest.raises(ValueError, match=r"nested|Expecting|decode"):
        parse_json(text)


def test_json_is_parsed() -> None:
    assert parse_json(b'{"a": [1]}') == {"a": [1]}
