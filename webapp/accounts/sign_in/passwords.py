"""What a password may not be, besides Django's rules. Nothing is looked up over a network."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from zxcvbn import zxcvbn

from webapp.accounts.models import Membership, User

LEAST_SCORE = 4  # of 4: 10**10 guesses and more
LONGEST_SCORED = 72  # zxcvbn's own limit; what follows can only make it stronger
SHORTEST_NAME = 4
PRODUCT = "hilum"


class GuessablePasswordValidator:
    """Refuses repetition, sequences, keyboard rows, dates and leaked passwords, also within a longer one.

    The estimate and its lists of leaked passwords and common words are zxcvbn's.
    """

    def validate(self, password: str, user: User | None = None) -> None:
        found = zxcvbn(password[:LONGEST_SCORED], user_inputs=sorted(names_around(user)))
        if found["score"] < LEAST_SCORE:
            raise ValidationError(
                _("This password is easy to guess. Use several uncommon words, or a password manager."),
                code="password_guessable",
            )

    def get_help_text(self) -> str:
        return _("Your password can’t be easy to guess, such as repeated words or a leaked password.")


class NameInPasswordValidator:
    """Refuses a password that contains a name of the user, of a site of theirs, or of this program."""

    def validate(self, password: str, user: User | None = None) -> None:
        plain = _letters(password)
        if any(name in plain for name in names_around(user)):
            raise ValidationError(
                _("This password contains your name, or the name of your site."), code="password_has_name"
            )

    def get_help_text(self) -> str:
        return _("Your password can’t contain your name, or the name of your site.")


def names_around(user: User | None) -> set[str]:
    """Names that someone who knows the user would try, in lower case and without spaces."""
    return {PRODUCT, *(name for text in _texts(user) for name in _names(text))}


def _texts(user: User | None) -> Iterator[str]:
    if user is None:
        return
    yield from (user.username, user.first_name, user.last_name, user.email.partition("@")[0])
    sites = [held.site for held in Membership.objects.filter(user=user).select_related("site")]
    # An invited user has no membership before there is a password.
    if (invited_to := getattr(user, "invited_to", None)) is not None:
        sites.append(invited_to)
    for site in sites:
        yield from (site.name, site.slug)


def _names(text: str) -> Iterator[str]:
    for name in (text, *re.split(r"[\W_]+", text)):
        letters = _letters(name)
        if len(letters) >= SHORTEST_NAME:
            yield letters


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()
