"""The keys of the pages: one table of actions, for each of which a person may choose another key.

Pages add their actions with `register`. A person's own keys are their preference `keys`:
{page: {standard key: own key}}, where a page is the name of its address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from webapp.core.errors import CodedError

Text = str | Promise
FIXED = frozenset("?/123456789")  # help, search, and the findings by number


@dataclass(frozen=True)
class Action:
    """What `key`, a single character, does by standard."""

    key: str
    text: Text


@dataclass(frozen=True)
class PageKeys:
    title: Text
    actions: tuple[Action, ...]


_PAGES: dict[str, PageKeys] = {}


def register(page: str, title: Text, actions: Iterable[tuple[str, Text]]) -> None:
    """Make these the page's actions that can get another key."""
    _PAGES[page] = PageKeys(title, tuple(Action(key, text) for key, text in actions))


def pages_with_keys() -> Mapping[str, PageKeys]:
    return dict(_PAGES)


def check_keys(chosen: Mapping[str, Any]) -> None:
    """Raise CodedError `preference_invalid` for what is no key, `key_taken` for one of two actions."""
    for page, own in chosen.items():
        known = _PAGES.get(page)
        if known is None or not isinstance(own, dict):
            raise _invalid(_("“%(page)s” is not a page with keys.") % {"page": str(page)[:40]})
        standard = {action.key for action in known.actions}
        for key, other in own.items():
            if key not in standard:
                raise _invalid(_("No action has the key “%(key)s”.") % {"key": str(key)[:40]})
            if not (isinstance(other, str) and len(other) == 1 and other.isprintable() and other.strip()):
                raise _invalid(_("“%(key)s” is not a single character.") % {"key": str(other)[:40]})
        _check_free(known, own)


def _check_free(page: PageKeys, own: Mapping[str, str]) -> None:
    taken: dict[str, Action] = {}
    # Those that keep their key first, so that a conflict names them.
    for action in sorted(page.actions, key=lambda action: action.key in own):
        key = own.get(action.key, action.key)
        if key in FIXED and key != action.key:
            raise CodedError("key_taken", _("“%(key)s” is a fixed key on every page.") % {"key": key})
        if key in taken:
            raise CodedError(
                "key_taken",
                _("“%(key)s” is already the key of “%(action)s” on the page %(page)s.")
                % {"key": key, "action": taken[key].text, "page": page.title},
            )
        taken[key] = action


def _invalid(text: str) -> CodedError:
    return CodedError("preference_invalid", text, _("Use {page: {standard key: own key}}."))
