"""Alarms in plain words, with units."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from webapp.monitoring.kinds import Signal
from webapp.monitoring.texts import measure


@pytest.mark.parametrize(
    ("kind", "score", "before", "now", "text"),
    [
        (
            Signal.PIXELS,
            "size",
            math.log2(1000),
            math.log2(700),
            "from 1,000 px at baseline to 700 px now",
        ),
        (Signal.PIXELS, "black_share", 0.02, 0.2, "black pixels rose from 2.0 % at baseline to 20.0 % now"),
        (Signal.PIXELS, "shape", 0.0, math.log(1.5), "rose from 1.00 at baseline to 1.50 now"),
        (
            Signal.PREDICTIONS,
            "pneumonia",
            0.0,
            math.log(4),
            "rose from 0.50 at baseline to 0.80 now",
        ),
        (Signal.FEATURES, "axis 17", -1.0, 2.0, "Overall appearance of the images"),
    ],
)
def test_an_alarm_states_its_change_in_words_and_units(kind, score, before, now, text):
    alarm = SimpleNamespace(kind=kind, detail={"score": score, "was": before, "is": now})
    assert text in measure(alarm)
    assert "xis" not in measure(alarm)
