"""The warnings for an image stand, in the same words, wherever its result does."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from django.urls import reverse
from PIL import Image
from pypdf import PdfReader
from rest_framework.test import APIClient

from classifier.result_warnings import Limit, WarningLimits
from tests.factories import spec_of
from webapp.accounts.services import token_create
from webapp.core import storage

pytestmark = pytest.mark.django_db
TEXTS = [
    "Most of the heatmap lies outside the lungs. 42 % of it lies inside.",
    "The image is unlike the images that the model was trained on. It differs more than 99 % of the "
    "validation images.",
    "The result changes when the image is moved slightly. Moved by 3 %: no finding.",
]
CODES = ["map_outside_lungs", "unusual_image", "unstable"]


@pytest.fixture
def warned(case, model, settings):
    """The case with an image, and an analysis with three warnings."""
    limits = WarningLimits(distance=Limit(1.0), distances=tuple(float(at) for at in range(101)))
    model.spec = json.loads(spec_of(warning_limits=limits).to_json())
    model.save()
    draft = settings.HILUM_DATA / "incoming" / f"{case.scan.pk}-display.png"
    draft.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(np.zeros((512, 512), np.uint16)).save(draft)
    storage.put_file(draft, case.scan.display_name)
    case.analysis.warnings = CODES
    case.analysis.measures = {"inside_lungs": 0.42, "distance": 98.5, "shifted": ""}
    case.analysis.save()
    return case


@pytest.mark.parametrize("page", ["scan", "report"])
def test_the_page_and_the_printed_report_state_them(warned, browser, owner, page):
    response = browser(owner).get(reverse(f"pages:{page}", args=[warned.scan.pk]))
    text = " ".join(response.content.decode().split())
    assert all(words in text for words in TEXTS)


def test_the_pdf_states_them(warned, browser, owner):
    pdf = browser(owner).get(reverse("pages:report_pdf", args=[warned.scan.pk])).content
    text = " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())
    assert all(words in text for words in TEXTS)


def test_the_api_states_them_with_their_codes(warned, owner, site):
    _, raw = token_create(user=owner, site=site, name="test", scopes=["scan.view"])
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
    (analysis,) = client.get(f"/api/v1/scans/{warned.scan.pk}/").json()["analyses"]
    assert [warning["code"] for warning in analysis["warnings"]] == CODES
    assert [warning["text"] for warning in analysis["warnings"]] == TEXTS
    assert all(warning["remedy"] for warning in analysis["warnings"])


def test_a_result_withheld_for_its_warnings_shows_them_without_its_probabilities(warned, browser, owner):
    warned.analysis.withheld, warned.analysis.abstention = True, "implausible_evidence"
    warned.analysis.save()
    page = browser(owner).get(reverse("pages:scan", args=[warned.scan.pk])).content.decode()
    text = " ".join(page.split())
    assert "the warnings for this image contradict the result." in text
    assert all(words in text for words in TEXTS)
    assert 'class="bars"' not in page
