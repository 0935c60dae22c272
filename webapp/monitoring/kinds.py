"""The monitored signals: one chart each, at every site, for every model version that is active there."""

from __future__ import annotations

from django.db import models


class Signal(models.TextChoices):
    """Once published, a kind keeps its name and its meaning."""

    PIXELS = "pixels", "pixel statistics"
    FEATURES = "features", "image features of the model"
    PREDICTIONS = "predictions", "predicted probabilities"
    ABSTENTIONS = "abstentions", "share of withheld results"
    REFUSALS = "refusals", "share of refused files"
    OVERRIDES = "overrides", "share of results that readers override"
    PERFORMANCE = "performance", "performance against labels"


# Refusals are decided without any model.
MODEL_KINDS = tuple(kind for kind in Signal if kind is not Signal.REFUSALS)
