"""The actions of the pages whose keys a person can change."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from webapp.accounts.hotkeys import FIXED, Text, register
from webapp.pages.scan.keys import KEYS


def register_all() -> None:
    """Called once, when the pages are loaded."""
    register(
        "worklist",
        _("Worklist"),
        [
            ("j", _("next row")),
            ("k", _("previous row")),
            ("x", _("select or deselect row")),
            ("n", _("next page")),
            ("p", _("previous page")),
        ],
    )
    register("patient", _("Patient"), [("j", _("next scan")), ("k", _("previous scan"))])
    register(
        "label_case",
        _("Label image"),
        [
            ("q", _("confidence: low, medium, high, not set")),
            ("x", _("indeterminate")),
            ("b", _("unusable image")),
            ("c", _("comment")),
            ("d", _("draw box")),
            ("g", _("draw polygon")),
            ("h", _("suggest a box from the heatmap")),
            ("e", _("select the next region")),
            ("n", _("next image")),
            ("p", _("previous image")),
            ("s", _("skip this image")),
            ("w", _("window wider")),
            ("W", _("window narrower")),
            ("l", _("level up")),
            ("L", _("level down")),
            ("i", _("invert")),
            ("f", _("fit to the screen")),
            ("r", _("reset")),
        ],
    )
    register("scan", _("Scan"), _scan_actions())


def _scan_actions() -> Iterator[tuple[str, Text]]:
    """The single keys of the help sheet; an entry with several keys is one action each."""
    for shortcuts in KEYS.values():
        for one in shortcuts:
            for place, key in enumerate(map(str, one.keys), 1):
                if len(key) == 1 and key not in FIXED:
                    several = format_lazy("{} ({}/{})", one.action, place, len(one.keys))
                    yield key, several if len(one.keys) > 1 else one.action
