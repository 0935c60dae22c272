"""How findings, names and numbers are spoken and drawn on the pages."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from webapp.pages.display import hue_of, lower_first, name_of_finding, name_of_slot, uncertainty_level
from webapp.scans.patients.person_name import displayed as name_of_person

register = template.Library()
register.filter("finding", name_of_finding)
register.filter("person", name_of_person)
register.filter("slot", name_of_slot)
register.filter("hue", hue_of)
register.filter("uncertainty", uncertainty_level)
register.filter("lower_first", lower_first)


@register.filter
def timestamp(value: datetime | None) -> SafeString | str:
    """A date and time as a `time` element, which the script shows in the reader's own time zone."""
    if value is None:
        return "–"
    local = timezone.localtime(value)
    text = f"{local:%Y-%m-%d %H:%M}"
    return format_html('<time datetime="{}" data-format="time">{}</time>', local.isoformat(), text)


@register.filter
def signed(change: float | None) -> str:
    """A difference of probabilities with its sign; no sign where it rounds to nothing."""
    if change is None:
        return "–"
    return "0.00" if abs(change) < 0.005 else f"{change:+.2f}".replace("-", "−")


@register.filter
def percent(share: float) -> str:
    """A share as whole percents; less than all is never rounded to 100 %."""
    return f"{min(99, round(100 * share)) if share < 1 else 100} %"


@register.inclusion_tag("scan/_probability.html")
def probability_bar(finding: str, probability: float, threshold: float | None = None) -> dict[str, object]:
    """A thin bar in the finding's hue; the threshold, where there is one, is a tick on it."""
    return {
        "hue": hue_of(finding),
        "fill": round(100 * min(max(probability, 0.0), 1.0), 1),
        "tick": None if threshold is None else round(100 * threshold, 1),
    }
