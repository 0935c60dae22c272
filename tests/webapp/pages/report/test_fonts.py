"""Text of every script in the PDF report: shaped, ordered, or stated as not printable."""

from __future__ import annotations

import io

import pytest
from pypdf import PdfReader
from reportlab.pdfbase import pdfmetrics
from reportlab.platypus import SimpleDocTemplate

from webapp.pages.report.bidi import is_right_to_left, runs_as_drawn
from webapp.pages.report.fonts import paragraph
from webapp.pages.report.pdf import _styles


def drawn(text: str) -> str:
    return "".join(runs_as_drawn(text, from_right=is_right_to_left(text)))


@pytest.fixture
def printed():
    def of(text: str, style: str = "text") -> tuple[str, set[str]]:
        """The text of a page with this paragraph, and the names of its embedded fonts."""
        file = io.BytesIO()
        SimpleDocTemplate(file).build([paragraph(text, _styles()[style])])
        (page,) = PdfReader(file).pages
        fonts = [font.get_object()["/BaseFont"] for font in page["/Resources"]["/Font"].values()]
        return page.extract_text().strip(), {str(font).split("+")[-1] for font in fonts}

    return of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("לוי, רות", "תור ,יול"),
        ("Patient: לוי, רות 12", "Patient: 12 תור ,יול"),
        ("לוי (ID 7) 1950-03-05", "1950-03-05 (ID 7) יול"),
        ("a (b) [c]", "a (b) [c]"),
        ("שָׁלוֹם", "םולש"),
        ("ward 3, bed 12", "ward 3, bed 12"),
    ],
)
def test_words_from_the_right_are_drawn_in_their_order_and_numbers_stay(text, shown):
    assert drawn(text) == shown


def test_arabic_letters_are_joined():
    forms = [ord(letter) for letter in drawn("ليلى")]
    assert all(0xFE70 <= form <= 0xFEFF for form in forms)
    # The first letter of the word is drawn last, in its initial form.
    assert forms[-1] == 0xFEDF


@pytest.mark.parametrize(
    ("text", "font"),
    [("สุดา ที่นี่", "NotoSansThai-Regular"), ("क्षमा शर्मा,", "NotoSansDevanagari-Regular")],
)
def test_thai_and_devanagari_have_a_font_and_are_shaped(printed, text, font):
    _, fonts = printed(text)
    assert font in fonts
    made = paragraph(text, _styles()["text"])
    made.wrap(400, 400)
    assert made.style.shaping
    assert made.minWidth() < sum(pdfmetrics.stringWidth(c, font, made.style.fontSize) for c in text)


def test_every_font_has_the_signs_that_stand_next_to_its_letters():
    for word in ("(สุดา)", "[क], 12-3"):
        made = paragraph(word, _styles()["text"])
        assert "\ufffd" not in made.getPlainText()


def test_long_text_from_the_right_is_broken_before_it_is_ordered(printed):
    words = [f"מילה{number}" for number in range(60)]
    made = paragraph(" ".join(words), _styles()["text"])
    made.wrap(300, 1000)
    text = ["".join(fragment.text for fragment in line.words) for line in made.blPara.lines]
    assert len(text) > 5
    assert text[0].endswith(" 1הלימ 0הלימ")
    assert "59" in text[-1]


def test_what_no_font_has_is_stated(printed):
    text, _ = printed("Name: অমিত রায়")
    assert text == "Name: [8 characters not printable]"
    assert printed("Žofie Ωμέγα Жук")[0] == "Žofie Ωμέγα Жук"
