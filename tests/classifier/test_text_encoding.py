"""Text that does not state its encoding."""

from __future__ import annotations

import pytest

from classifier.text_encoding import decode

TABLE = "image,patient\n{},{}\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_read_with_and_without_a_mark_and_is_no_guess(encoding: str) -> None:
    text = TABLE.format("Röntgen.png", "胸部")
    found = decode(text.encode(encoding))
    assert (found.text, found.guessed) == (text, False)
    assert found.label.startswith("UTF-")


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        (("Jörg.png", "Straße"), "cp1252"),
        (("kość.png", "Dvořák"), "cp1250"),
        (("снимок.png", "Иванов"), "cp1251"),
        (("胸部正面.png", "山田"), "cp932"),
        (("患者A胸部.png", "レントゲン"), "cp932"),
        (("胸部正位片.png", "李小明"), "gb18030"),
        (("胸部正面.png", "陳"), "big5"),
        (("흉부.png", "김"), "cp949"),
        (("Müller.png", "Käse"), "cp850"),
    ],
)
def test_a_legacy_encoding_is_detected_and_marked_as_a_guess(words: tuple[str, str], encoding: str) -> None:
    text = TABLE.format(*words)
    found = decode(text.encode(encoding))
    assert (found.text, found.guessed) == (text, True)


@pytest.mark.parametrize(
    ("word", "encoding"), [("Θώρακας", "cp1253"), ("חזה", "cp1255"), ("صدر", "cp1256"), ("Göğüs", "cp1254")]
)
def test_where_several_encodings_fit_the_files_decide_or_a_person_does(word: str, encoding: str) -> None:
    data = TABLE.format(word, "P1").encode(encoding)
    by_files = decode(data, fits=lambda text: word in text)
    assert (by_files.text, by_files.guessed) == (TABLE.format(word, "P1"), False)
    assert decode(data, encoding=encoding).text == TABLE.format(word, "P1")


@pytest.mark.parametrize(
    ("data", "encoding"), [(b"a\0\xff\0\xfeb\0", ""), (b"J\xf6rg", "utf-8"), (b"x", "rot-99")]
)
def test_what_is_no_text_is_refused(data: bytes, encoding: str) -> None:
    with pytest.raises(ValueError, match="text"):
        decode(data, encoding=encoding)
