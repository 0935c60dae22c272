"""How a model did outside of its training data stands, in the same words, wherever its result does."""

from __future__ import annotations

import io

import numpy as np
import pytest
from django.urls import reverse
from PIL import Image
from pypdf import PdfReader
from rest_framework.test import APIClient

from webapp.accounts.services import token_create
from webapp.analysis.models import Analysis
from webapp.core import storage

pytestmark = pytest.mark.django_db
ELSEWHERE = {
    "origin": "clinic B",
    "finding": "pneumonia",
    "images": 90,
    "false_alarms": {"value": 0.125, "low": None, "high": None},
    "sensitivity": {"value": 0.71, "low": None, "high": None},
}
SENTENCE = (
    "Outside the origins of its training data, it reported pneumonia on 12 % of normal images (clinic B); "
    "it detected 71 % of images with pneumonia (clinic B)."
)


@pytest.fixture
def tested(case, model, settings):
    """The case with an image, by a model that was tested outside the origins of its training data."""
    model.card = {"about": {"elsewhere": [ELSEWHERE]}}
    model.save()
    draft = settings.HILUM_DATA / "incoming" / f"{case.scan.pk}-display.png"
    draft.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(np.zeros((512, 512), np.uint16)).save(draft)
    storage.put_file(draft, case.scan.display_name)
    return case


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


@pytest.mark.parametrize("page", ["scan", "report"])
def test_the_page_and_the_printed_report_state_it(tested, browser, owner, page):
    response = browser(owner).get(reverse(f"pages:{page}", args=[tested.scan.pk]))
    assert SENTENCE in text_of(response)


def test_the_pdf_states_it(tested, browser, owner):
    pdf = browser(owner).get(reverse("pages:report_pdf", args=[tested.scan.pk])).content
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    assert SENTENCE in " ".join(text.split())


def test_the_api_states_it_with_each_finished_analysis(tested, owner, site):
    _, raw = token_create(user=owner, site=site, name="test", scopes=["scan.view"])
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
    (analysis,) = client.get(f"/api/v1/scans/{tested.scan.pk}/").json()["analyses"]
    assert analysis["limits"] == SENTENCE
    Analysis.objects.filter(pk=tested.analysis.pk).update(status="queued")
    (analysis,) = client.get(f"/api/v1/scans/{tested.scan.pk}/").json()["analyses"]
    assert analysis["limits"] is None


def test_a_withheld_result_is_reported_without_it(tested, browser, owner):
    tested.analysis.withheld, tested.analysis.abstention = True, "lateral_view"
    tested.analysis.save()
    page = text_of(browser(owner).get(reverse("pages:report", args=[tested.scan.pk])))
    assert "Outside the origins" not in page
