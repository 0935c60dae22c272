"""Every word of the pages can be translated: none stands in a template outside gettext."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from django.utils.translation.template import templatize

from tests.architecture.source import ROOT

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
TRANSLATED = re.compile(
    r"\{% (blocktranslate)\b.*?%\}.*?\{% endblocktranslate %\}|\{% translate .*?%\}", re.DOTALL
)
MARKUP = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
READ_ALOUD = {"title", "alt", "placeholder", "aria-label", "aria-roledescription", "aria-description"}
SILENT = {"script", "style", "svg", "kbd", "code"}
# Names, units and what is stated alike everywhere.
PROPER = {"Hilum", "SHA", "sha256", "Inferno", "Cividis", "API", "JavaScript", "StudyInstanceUID"}


class Words(HTMLParser):
    """Collects the words of a page that a person sees or hears."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SILENT:
            self._silent.append(tag)
        self.found += [value for name, value in attrs if name in READ_ALOUD and value]

    def handle_endtag(self, tag: str) -> None:
        if self._silent and self._silent[-1] == tag:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def untranslated(source: str) -> list[str]:
    """Words that stand in a template's text or in what is read aloud of it, outside gettext."""
    source = re.sub(r"(\{% block \w+_class %\})[\w -]*", r"\1", source)
    page = Words()
    page.feed(MARKUP.sub(" ", TRANSLATED.sub(" ", source)))
    words = (word for text in page.found for word in re.findall(r"[^\W\d_]{2,}\w*", text))
    return [word for word in words if word not in PROPER]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(ROOT / "templates").as_posix())
def test_no_word_is_outside_gettext(path):
    source = path.read_text()
    assert untranslated(source) == []
    assert templatize(source, origin=str(path)) is not None


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Two words</p>", ["Two", "words"]),
        ('<p title="One">{% translate "two" %}</p>', ["One"]),
        ("<p>{% blocktranslate with a=b %}one {{ a }}{% endblocktranslate %} {{ two }}</p>", []),
        ("<p>{% if one %}two{% endif %}</p>", ["two"]),
        ("<svg><title>x</title></svg><kbd>Esc</kbd><script>let one = 2;</script>", []),
        ("{% block main_class %}narrow{% endblock %}Hilum", []),
    ],
)
def test_the_check_itself_sees_what_is_left_out(source, found):
    assert untranslated(source) == found
