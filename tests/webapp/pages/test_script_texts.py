"""The words of the pages' scripts in another language, as Django serves them."""

from __future__ import annotations

import struct

import pytest
from django.urls import reverse
from django.utils import translation

pytestmark = pytest.mark.django_db

HEAD = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"
SCRIPT = '<script defer src="/script-texts.js"></script>'


def compiled(words: dict[str, str]) -> bytes:
    """A catalogue as msgfmt compiles it: tables of lengths and places, then the texts."""
    table = sorted({"": HEAD, **words}.items())
    texts = [text.encode() for pair in zip(*table, strict=True) for text in pair]
    places, at = b"", 28 + 8 * len(texts)
    for text in texts:
        places += struct.pack("<2I", len(text), at)
        at += len(text) + 1
    head = struct.pack("<7I", 0x950412DE, 0, len(table), 28, 28 + 8 * len(table), 0, 28)
    return head + places + b"\0".join(texts) + b"\0"


@pytest.fixture
def german(tmp_path, settings):
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    words = {"Copied": "Kopiert", "%(number)s file\0%(number)s files": "%(number)s Datei\0%(number)s Dateien"}
    (folder / "djangojs.mo").write_bytes(compiled(words))
    settings.LOCALE_PATHS = [tmp_path]
    with translation.override("de"):
        yield


def test_the_catalogue_holds_our_words_and_no_others(german, browser, owner):
    response = browser(owner).get(reverse("pages:script_texts"))
    stated = response.content.decode()
    assert response["Content-Type"].startswith("text/javascript")
    assert "Kopiert" in stated
    assert "%(number)s Dateien" in stated
    assert "Available %s" not in stated  # Django's admin's


def test_a_browser_keeps_it_to_itself_and_takes_it_again_only_where_it_has_changed(german, browser, owner):
    client = browser(owner)
    first = client.get(reverse("pages:script_texts"))
    assert "private" in first["Cache-Control"]
    assert "max-age=3600" in first["Cache-Control"]
    again = client.get(reverse("pages:script_texts"), headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304


def test_a_page_loads_it_before_its_modules_where_its_language_is_not_that_of_the_source(
    german, browser, owner
):
    page = browser(owner).get("/").content.decode()
    assert page.index(SCRIPT) < page.index('type="module"')
    assert '<html lang="de"' in page


def test_a_page_in_english_loads_none(browser, owner):
    page = browser(owner).get("/").content.decode()
    assert "script-texts.js" not in page
    assert '<html lang="en-gb"' in page


def test_nobody_is_sent_for_it_before_signing_in(german, client):
    assert "script-texts.js" not in client.get("/sign-in/").content.decode()
