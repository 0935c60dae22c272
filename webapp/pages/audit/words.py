"""Actions, records and details of the audit log in words; the CSV export keeps the codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# Where the code alone would be unclear.
ACTIONS: Mapping[str, str | Promise] = {
    "access.opened": _("Page opened"),
    "access.posted": _("Form submitted"),
    "access.refused": _("Access refused"),
    "command.run": _("Command run"),
    "analysis.revealed": _("Withheld result shown"),
    "analysis.explained": _("Heatmap method requested"),
    "patient.viewed": _("Patient viewed"),
}


def action_in_words(code: str) -> str:
    """`training_schedule.changed` becomes `Training schedule changed`; a group `token.` becomes `Token`."""
    if code in ACTIONS:
        return str(ACTIONS[code])
    words = code.replace(".", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def record_in_words(subject: str) -> str:
    """The kind of a record `app.model:key`, as the models name it."""
    label = subject.partition(":")[0]
    try:
        return str(apps.get_model(label)._meta.verbose_name)
    except (LookupError, ValueError):
        return label


def detail_in_words(detail: Mapping[str, Any]) -> str:
    """`{"labels": 3}` as `labels: 3`; entries by name."""
    return "; ".join(f"{name.replace('_', ' ')}: {_value(value)}" for name, value in sorted(detail.items()))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({detail_in_words(value)})"
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value)) or "–"
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    return "–" if value is None or value == "" else str(value)
