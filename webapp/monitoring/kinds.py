"""The monitored signals: one chart each, at every site, for every model version that is active there."""

from __future__ import annotations

from django.db import models


class Signal(models.TextChoices):
    """Once published, a kind keeps its name and its meaning."""

    PIXELS = "pixels", "Pixels"
    FEATURES = "features", "Image features"
    PREDICTIONS = "predictions", "Predictions"
    ABSTENTIONS = "abstentions", "Withheld results"
    REFUSALS = "refusals", "Refused files"
    OVERRIDES = "overrides", "Overrides"
    PERFORMANCE = "performance", "Performance"


# Refusals are decided without any model.
MODEL_KINDS = tuple(kind for kind in Signal if kind is not Signal.REFUSALS)
