"""Alarms and charts in words, for pages, mails and programs alike."""

from __future__ import annotations

from webapp.monitoring.kinds import Kind
from webapp.monitoring.models import Alarm

HEADINGS = {
    Kind.PIXELS: "The images have changed",
    Kind.FEATURES: "The model sees other images than before",
    Kind.PREDICTIONS: "The model's probabilities have changed",
    Kind.ABSTENTIONS: "The share without an answer has changed",
    Kind.REFUSALS: "The share of refused files has changed",
    Kind.OVERRIDES: "Readers decide against the model more or less often than before",
    Kind.PERFORMANCE: "The model's distance from the labels has changed",
}
CHARTS = {
    Kind.PIXELS: "Images",
    Kind.FEATURES: "Features",
    Kind.PREDICTIONS: "Probabilities",
    Kind.ABSTENTIONS: "No answer",
    Kind.REFUSALS: "Refused files",
    Kind.OVERRIDES: "Overrides",
    Kind.PERFORMANCE: "Performance",
}
WATCHED = {
    Kind.PIXELS: "brightness, contrast, detail and layout of the images",
    Kind.FEATURES: "the network's last layer",
    Kind.PREDICTIONS: "the probability of each finding",
    Kind.ABSTENTIONS: "answers that were withheld",
    Kind.REFUSALS: "files that could not be read as an image",
    Kind.OVERRIDES: "readings and labels that contradict what the model reported",
    Kind.PERFORMANCE: "squared distance between probabilities and labels",
}
UNITS = {
    Kind.PIXELS: "images",
    Kind.FEATURES: "images",
    Kind.PREDICTIONS: "answers",
    Kind.ABSTENTIONS: "answers",
    Kind.REFUSALS: "files",
    Kind.OVERRIDES: "readings and labels",
    Kind.PERFORMANCE: "labels",
}
SCORES = {
    "distance": "distance to the reference's images",
    "level_p01": "darkest level",
    "level_p05": "dark level (5th percentile)",
    "level_p25": "dark level (25th percentile)",
    "level_p50": "median level",
    "level_p75": "bright level (75th percentile)",
    "level_p95": "bright level (95th percentile)",
    "level_p99": "brightest level",
    "black_share": "black share",
    "white_share": "white share",
    "shape": "width to height",
    "size": "size in pixels",
    "border": "brightness of the border",
    "centre": "brightness of the centre",
    "left_right": "left half against right",
    "top_bottom": "upper half against lower",
}
RATES = {Kind.ABSTENTIONS, Kind.REFUSALS, Kind.OVERRIDES}
OUTCOMES = {
    "passed": "the change has passed",
    "accepted": "the change is accepted: what came since is the new reference",
    "retired": "the version is active no more",
}


def heading(alarm: Alarm) -> str:
    return HEADINGS[Kind(alarm.kind)]


def score_name(kind: str, score: str) -> str:
    """What one number of a chart is called."""
    if kind == Kind.PREDICTIONS and score != "distance":
        return f"log-odds of {score}"
    return SCORES.get(score, score.replace("_", " "))


def sentence(alarm: Alarm) -> str:
    """What has changed, since when and how much, in a sentence or two."""
    since = f"since {alarm.since:%Y-%m-%d %H:%M} UTC"
    model = f" with model {alarm.model_version}" if alarm.model_version else ""
    return f"{heading(alarm)} {since}{model}. {measure(alarm)}; {cases(alarm)} since then."


def cases(alarm: Alarm) -> str:
    """How many there have been since the change, as far as was known when it was noticed."""
    return f"{alarm.detail.get('cases', 0)} {UNITS[Kind(alarm.kind)]}"


def measure(alarm: Alarm) -> str:
    """The number that leads: what it was in the reference, and what it is since the change."""
    detail = alarm.detail
    was, now = detail.get("was"), detail.get("is")
    if was is None or now is None:
        return heading(alarm)
    if alarm.kind in RATES:
        return f"It was {was:.0%} in the reference and is {now:.0%}"
    name = score_name(alarm.kind, detail["score"])
    if alarm.kind == Kind.PERFORMANCE:
        name = "mean squared distance"
    return f"{name[:1].upper()}{name[1:]} was {was:.2f} in the reference and is {now:.2f}"
