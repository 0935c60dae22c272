"""Every text of our scripts can be translated: none is outside gettext, and makemessages finds each."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

SCRIPTS = ROOT / "static" / "js"
SOURCES = sorted(SCRIPTS.rglob("*.js"))
# A comment, a text, the begin of a template literal, or a regular expression.
TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/"
    r'|"(?P<text>(?:[^"\\\n]|\\.)*)"'
    r"|(?P<template>`)"
    r"|(?<=[(,=:!&|?>])\s*/(?:[^/\\\n\[]|\\.|\[(?:[^\]\\]|\\.)*\])+/[a-z]*",
    re.DOTALL,
)
# Two words, one that something follows, or one with a capital: text, wherever it stands.
SPOKEN = re.compile(r"[^\W\d_]{2,}[,.:;]? +\S|\},? [^\W\d_]{3,}|^[A-Z][a-z]{2,}[.!?]?$")
WORD = re.compile(r"^[^\W\d_]{3,}[.!?]?$")
# What goes to a person; a single word is text only there.
SAYS = re.compile(
    r"(?:textContent|placeholder|title|text|words|parts|message|remedy|label)\s*[=:][^;{},(]*$"
    r"|\b(?:announce|show|say|tell|push|NetworkFailure)\([^(]*$|\"aria-label\", [^(]*$|&& $"
)
CODE = re.compile(r"(?:[!=]== |className = |\.font = |(?:closest|matches|querySelector(?:All)?)(?:\?\.)?\()$")
CALL = re.compile(r"\b(?:gettext\(|ngettext\(\s*(?:\"(?:[^\"\\]|\\.)*\",\s*)?)$")
PLAIN_CALL = re.compile(r'\b(?:(?<!n)gettext\("[^"\\\n]+"\)|ngettext\(\s*"[^"\\\n]+",\s*"[^"\\\n]+",)')
EXCEPT = {
    *("Enter", "Escape", "Arrow", "Delete", "Backspace"),  # keys, by the browser's names
    *("Accept", "Files", "Horizontal", "Vertical"),  # names in others' interfaces
    *("HTTP {}", "system-ui, sans-serif"),  # alike in every language
    *("chart-line second", "translate({}px, {}px)", "(resolution: {}dppx)"),  # for style sheets
    "the image is incomplete",  # for the console
}


def texts(source: str) -> Iterator[tuple[str, str]]:
    """Every text of a program and what stands before it; a template literal has {} for its values."""
    at = 0
    while found := TOKEN.search(source, at):
        at = found.end()
        if found["text"]:
            yield found["text"], source[: found.start()]
        elif found["template"]:
            words, values, at = _template(source, at)
            yield words, source[: found.start()]
            for value in values:
                yield from texts(value)


def _template(source: str, at: int) -> tuple[str, list[str], int]:
    words, values = "", []
    while source[at] != "`":
        if source.startswith("${", at):
            end, depth = at + 2, 1
            while depth:
                depth += {"{": 1, "}": -1}.get(source[end], 0)
                end += 1
            values.append(source[at + 2 : end - 1])
            words, at = words + "{}", end
        else:
            end = at + 2 if source[at] == "\\" else at + 1
            words, at = words + source[at:end], end
    return words, values, at + 1


def _text_there(before: str) -> bool:
    """Whether a text that follows this goes to a person; closed calls do not count for it."""
    statement = before[before.rfind(";") + 1 :][-400:]
    while (shorter := re.sub(r"\([^()]*\)", "", statement)) != statement:
        statement = shorter
    return bool(SAYS.search(statement))


def untranslated(source: str) -> list[str]:
    """Texts of a program outside gettext."""
    return [
        words
        for words, before in texts(source)
        if not CALL.search(before)
        and not CODE.search(before)
        and words not in EXCEPT
        and (SPOKEN.search(words) or (WORD.search(words) and _text_there(before)))
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(SCRIPTS).as_posix())
def test_no_word_is_stated_outside_gettext(path):
    assert untranslated(path.read_text()) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(SCRIPTS).as_posix())
def test_makemessages_finds_what_is_stated(path):
    """It reads plain texts only: neither templates, nor sums, nor names of texts."""
    source = path.read_text()
    calls = re.findall(r"(?<![.\w])n?gettext\(", source)
    assert len(calls) == len(PLAIN_CALL.findall(source))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('part("said").textContent = "Copied";', ["Copied"]),
        ('bar.textContent = share < 1 ? told(share) : "uploaded";', ["uploaded"]),
        ('x = "Two words";', ["Two words"]),
        ("say(`turned ${degrees}°`);", ["turned {}°"]),
        ('fold.setAttribute("aria-label", `${open ? "Hide" : "Show"} ${name}`);', ["Hide", "Show"]),
        ("const label = `${method}, relative`;", ["{}, relative"]),
        ('const parts = [mirrored && "mirrored"];', ["mirrored"]),
        ('row.stop({ code: "not_sent", remedy: "wait" });', ["wait"]),
        ('say(gettext("Two words")); // Two words', []),
        ('tell(interpolate(ngettext("%(n)s file", "%(n)s files", n), { n }));', []),
        ('tell(ngettext("%(n)s file", "%(n)s files", n) + " are here");', [" are here"]),
        ('if (event.key === "Enter") part("copied").textContent = words;', []),
        ('line.className = "quiet fine"; text.split(/"one two"/)', []),
    ],
)
def test_the_check_itself_sees_what_is_left_out(source, found):
    assert untranslated(source) == found
