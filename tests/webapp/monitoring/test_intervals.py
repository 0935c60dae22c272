from __future__ import annotations

import pytest

from webapp.monitoring.intervals import rate


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    # Wilson's interval for 95 %, as in Newcombe 1998 (Statistics in Medicine 17:857), table I.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_rates_have_wilsons_interval(count, of, low, high):
    reported = rate(count, of)
    assert (reported["low"], reported["high"]) == (
        pytest.approx(low, abs=1e-4),
        pytest.approx(high, abs=1e-4),
    )
    assert reported["low"] <= reported["value"] <= reported["high"]


def test_where_there_is_no_case_there_is_no_rate():
    assert rate(0, 0) == {"count": 0, "of": 0, "value": None, "low": None, "high": None}
    assert rate(5, 5)["high"] == 1
