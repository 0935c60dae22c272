"""What is watched: one chart each, at every site for every model version that answers there."""

from __future__ import annotations

from django.db import models


class Kind(models.TextChoices):
    """Once published, a kind keeps its name and its meaning."""

    PIXELS = "pixels", "the images"
    FEATURES = "features", "what the model sees in the images"
    PREDICTIONS = "predictions", "the model's probabilities"
    ABSTENTIONS = "abstentions", "how often the model gives no answer"
    REFUSALS = "refusals", "how often files are refused"
    OVERRIDES = "overrides", "how often readers decide against the model"
    PERFORMANCE = "performance", "how far the model's probabilities are from the labels"


# Refusals are decided without any model.
MODEL_KINDS = tuple(kind for kind in Kind if kind is not Kind.REFUSALS)
