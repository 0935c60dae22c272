"""What each person has chosen for the pages, kept on the server: it follows them to any workstation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.utils.translation import gettext as _

from webapp.accounts.hotkeys import check_keys
from webapp.accounts.models import User
from webapp.core.errors import CodedError

LONGEST_VALUE = 4000  # characters of JSON; every page carries the values


@dataclass(frozen=True)
class Preference:
    """A value has the type of `default`, and is one of `choices` where there are any."""

    default: Any
    choices: tuple[str, ...] = ()

    def accepts(self, value: Any) -> bool:
        if type(value) is not type(self.default) or (self.choices and value not in self.choices):
            return False
        return len(json.dumps(value)) <= LONGEST_VALUE

    @property
    def expected(self) -> str:
        if self.choices:
            return ", ".join(self.choices)
        return {bool: "true, false", list: "a JSON list", dict: "a JSON object"}[type(self.default)]


PREFERENCES: Mapping[str, Preference] = {
    "heatmap": Preference(default=True),
    "open_prior": Preference(default=False),
    "read_first": Preference(default=False),
    "worklist_density": Preference(default="standard", choices=("standard", "compact")),
    "worklist_columns": Preference(default=[]),  # codes in order; empty: the standard columns
    "urgent_mail": Preference(default=False),
    "keys": Preference(default={}),  # see webapp.accounts.hotkeys
}


def preferences_of(user: User | AnonymousUser) -> dict[str, Any]:
    """The value of every known key: the person's own, else the default."""
    own = getattr(user, "preferences", {})
    return {
        key: own[key] if key in own and known.accepts(own[key]) else known.default
        for key, known in PREFERENCES.items()
    }


@transaction.atomic
def set_preference(*, user: User, key: str, value: Any) -> None:
    """Keep the person's value; raises CodedError `preference_unknown`, `preference_invalid`, `key_taken`."""
    known = PREFERENCES.get(key)
    if known is None:
        raise CodedError(
            "preference_unknown",
            _("There is no preference “%(key)s”.") % {"key": key[:100]},
            _("Use one of: %(keys)s.") % {"keys": ", ".join(PREFERENCES)},
        )
    if not known.accepts(value):
        raise CodedError(
            "preference_invalid",
            _("“%(value)s” is not a valid value of “%(key)s”.")
            % {"value": json.dumps(value)[:100], "key": key},
            _("Use one of: %(expected)s.") % {"expected": known.expected},
        )
    if key == "keys":
        check_keys(value)
    # Two tabs may set different keys at once: the row is read again under a lock.
    locked = User.objects.select_for_update().only("preferences").get(pk=user.pk)
    user.preferences = locked.preferences | {key: value}
    User.objects.filter(pk=user.pk).update(preferences=user.preferences)
