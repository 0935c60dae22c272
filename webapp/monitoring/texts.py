"""Texts for alarms and charts, shared by pages, e-mails and the API."""

from __future__ import annotations

import math
from datetime import datetime
from zoneinfo import ZoneInfo

from classifier.contract import finding_in_text
from webapp.accounts.models import Site
from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import Alarm

HEADINGS = {
    Signal.PIXELS: "Pixel drift detected",
    Signal.FEATURES: "Image drift detected",
    Signal.PREDICTIONS: "Prediction drift detected",
    Signal.ABSTENTIONS: "Share of withheld results has changed",
    Signal.REFUSALS: "Share of refused files has changed",
    Signal.OVERRIDES: "Share of overridden results has changed",
    Signal.PERFORMANCE: "Performance against labels has changed",
}
DESCRIPTIONS = {
    Signal.PIXELS: "brightness, contrast, detail and layout of the images",
    Signal.FEATURES: "activations of the network's last layer",
    Signal.PREDICTIONS: "probability of each finding",
    Signal.ABSTENTIONS: "share of results that the model withholds",
    Signal.REFUSALS: "share of files that cannot be read as an image",
    Signal.OVERRIDES: "share of readings and labels that contradict the reported finding",
    Signal.PERFORMANCE: "squared error between probabilities and labels",
}
UNITS = {
    Signal.PIXELS: "images",
    Signal.FEATURES: "images",
    Signal.PREDICTIONS: "results",
    Signal.ABSTENTIONS: "results",
    Signal.REFUSALS: "files",
    Signal.OVERRIDES: "readings and labels",
    Signal.PERFORMANCE: "labels",
}
SCORES = {
    "distance": "distance to the baseline images",
    "level_p01": "darkest level",
    "level_p05": "dark level (5th percentile)",
    "level_p25": "dark level (25th percentile)",
    "level_p50": "median level",
    "level_p75": "bright level (75th percentile)",
    "level_p95": "bright level (95th percentile)",
    "level_p99": "brightest level",
    "black_share": "share of black pixels",
    "white_share": "share of white pixels",
    "shape": "typical ratio of width to height",
    "size": "typical image size (longer side, at most 1,024 px)",
    "brightness": "mean brightness",
    "contrast": "contrast",
    "fine_detail": "amount of fine detail",
    "coarse_detail": "amount of coarse detail",
    "grain": "grain (noise)",
    "border": "brightness at the border",
    "centre": "brightness at the centre",
    "left_right": "left-right asymmetry",
    "top_bottom": "top-bottom asymmetry",
}
SHARES = {name for name in SCORES if name.startswith("level_") or name.endswith("_share")} | {"brightness"}
FEATURES_TEXT = "overall appearance of the images to the network changed"
RATES = {Signal.ABSTENTIONS, Signal.REFUSALS, Signal.OVERRIDES}
OUTCOMES = {
    "passed": "change has passed; same baseline",
    "accepted": "change accepted; new baseline from cases since the change",
    "retired": "model version is no longer active",
}


def heading(alarm: Alarm) -> str:
    return HEADINGS[Signal(alarm.kind)]


def score_name(kind: str, score: str) -> str:
    """What one number of a chart is called."""
    if kind == Signal.FEATURES:
        return FEATURES_TEXT
    if kind == Signal.PREDICTIONS and score != "distance":
        return f"probability of {finding_in_text(score)}"
    return SCORES.get(score, score.replace("_", " "))


def value_text(kind: str, score: str, value: float) -> str:
    """One number of a chart in the unit that a reader knows it in."""
    if kind == Signal.PREDICTIONS and score != "distance":
        return f"{1 / (1 + math.exp(-max(-50.0, min(value, 50.0)))):.2f}"
    if kind == Signal.PIXELS and score == "size":
        return f"{2**value:,.0f} px"
    if kind == Signal.PIXELS and score == "shape":
        return f"{math.exp(value):.2f}"
    if kind == Signal.PIXELS and score in SHARES:
        return f"{100 * value:.1f} %"
    return f"{value:.2f}"


def sentence(alarm: Alarm) -> str:
    """What has changed, since when and by how much, in two sentences."""
    model = f" with model {alarm.model_version}" if alarm.model_version else ""
    since = local_time(alarm.since, alarm.site)
    return f"{heading(alarm)} since {since}{model}. {measure(alarm)}; {cases(alarm)} since then."


def local_time(time: datetime, site: Site) -> str:
    """A time in the site's zone, with the zone's name: `2026-11-01 06:30 CET`."""
    return f"{time.astimezone(ZoneInfo(site.timezone)):%Y-%m-%d %H:%M %Z}"


def cases(alarm: Alarm) -> str:
    """The number of cases since the change, at the time when it was detected."""
    return f"{alarm.detail.get('cases', 0)} {UNITS[Signal(alarm.kind)]}"


def measure(alarm: Alarm) -> str:
    """The leading number: its mean in the baseline, and since the change."""
    before, now = alarm.detail.get("was"), alarm.detail.get("is")
    if before is None or now is None:
        return heading(alarm)
    if alarm.kind in RATES:
        return f"{Signal(alarm.kind).label}: {100 * before:.0f} % at baseline, {100 * now:.0f} % now"
    if alarm.kind == Signal.FEATURES:
        return f"{FEATURES_TEXT[:1].upper()}{FEATURES_TEXT[1:]}; it has no unit"
    score = alarm.detail["score"]
    performance = alarm.kind == Signal.PERFORMANCE
    name = "mean squared error" if performance else score_name(alarm.kind, score)
    direction = "rose" if now > before else "fell"
    first, last = (value_text(alarm.kind, score, value) for value in (before, now))
    if first == last:
        return f"The {name} changed slightly around {first}"
    return f"The {name} {direction} from {first} at baseline to {last} now"
