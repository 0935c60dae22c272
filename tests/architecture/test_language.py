"""Names and texts keep to plain English and the field's standard terms (docs/glossary.md)."""

from __future__ import annotations

import pytest

from tests.architecture.language import files, hits


@pytest.mark.parametrize(
    "top", ["classifier", "webapp", "worker", "templates", "static", "docs", "tests", "*"]
)
def test_no_word_of_an_earlier_dialect_is_left(top):
    only = (
        (top,)
        if top != "*"
        else (":!classifier", ":!webapp", ":!worker", ":!templates", ":!static", ":!docs", ":!tests")
    )
    wrong = [
        f"{hit.path}:{hit.line}: {hit.word!r}, better: {hit.better}"
        for path in files(*only)
        for hit in hits(path)
    ]
    assert not wrong


def test_the_search_finds_a_word_in_a_name_and_in_a_text(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.architecture.language.ROOT", tmp_path)
    (tmp_path / "a.py").write_text('picture_of = "hand in"  # told\nground_truth = 1\n')
    (tmp_path / "b.html").write_text("<p>Beside it: the reading room</p>\n")
    assert {h.word for h in hits("a.py")} == {"picture", "hand in", "told"}
    assert {h.word for h in hits("b.html")} == {"Beside"}
