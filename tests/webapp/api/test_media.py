"""Images and maps over the API."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from classifier.images.heatmap import INFERNO
from tests.factories import AnalysisFactory, cam
from tests.webapp.pages.conftest import store_preview


@pytest.fixture
def preview(case, settings) -> bytes:
    return store_preview(case.scan, settings)


def drawn(finished_analysis) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(finished_analysis.content)).convert("RGB"), dtype=int)


def overlay(client, case, **query):
    return client.get(f"/api/v1/analyses/{case.analysis.pk}/overlay/", query)


def test_an_image_is_sent_once(client, case, preview):
    where = f"/api/v1/scans/{case.scan.pk}/preview/"
    response = client.get(where)
    assert b"".join(response.streaming_content) == preview
    assert (response["Content-Type"], response["Cache-Control"]) == ("image/png", "private, no-cache")
    assert client.get(where, headers={"if-none-match": response["ETag"]}).status_code == 304
    assert client.get(where, headers={"accept": "image/png"}).status_code == 200


def test_an_image_that_is_missing_is_stated_to_be_so(client, case):
    response = client.get(f"/api/v1/scans/{case.scan.pk}/display/")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")


def test_the_map_is_reported_as_numbers(client, case):
    assert client.get(f"/api/v1/analyses/{case.analysis.pk}/cam/").json() == cam().as_dict()
    waiting = AnalysisFactory(scan=case.scan)
    response = client.get(f"/api/v1/analyses/{waiting.pk}/cam/")
    assert (response.status_code, response.json()["code"]) == (409, "not_ready")


def test_the_map_is_drawn_where_it_is_strong_and_the_image_stays_where_it_is_not(client, case, preview):
    response = overlay(client, case, finding="pneumonia")
    assert (response.status_code, response["Content-Type"]) == (200, "image/png")
    image = drawn(response)
    assert image.shape[1] == 64
    assert image.shape[0] > 64, "the foot is there"
    # The grid is [[0, 1], [-1, 0.5]] at scale 2: nothing at the upper left, half strength at the upper right.
    assert tuple(image[2, 2]) == (90, 90, 90)
    assert tuple(image[62, 2]) == (90, 90, 90)
    half = np.rint(90 * 0.5 + INFERNO[16] * 0.5).astype(int)
    assert np.abs(image[2, 62] - half).max() <= 1
    faint = drawn(overlay(client, case, finding="pneumonia", opacity="0"))
    assert (faint[:64] == 90).all()


def test_the_drawn_map_states_what_it_is_and_that_it_is_no_medical_device(client, case, preview):
    response = overlay(client, case)
    stated = Image.open(io.BytesIO(response.content)).text["Description"]
    assert stated.startswith("pneumonia 0.82, model cxr-")
    assert "not a medical device" in stated
    assert overlay(client, case).status_code == 200
    again = client.get(
        f"/api/v1/analyses/{case.analysis.pk}/overlay/", headers={"if-none-match": response["ETag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize("query", [{"opacity": "2"}, {"opacity": "nan"}, {"opacity": "x"}, {"colour": "red"}])
def test_a_map_that_there_is_not_is_refused(client, case, preview, query):
    response = overlay(client, case, **query)
    assert (response.status_code, response.json()["code"], list(response.json()["errors"])) == (
        400,
        "invalid",
        list(query),
    )


def test_a_finding_that_the_model_does_not_know_is_not_found(client, case, preview):
    assert overlay(client, case, finding="gout").status_code == 404


def test_a_withheld_result_is_not_drawn(client, case, preview):
    case.analysis.withheld, case.analysis.abstention = True, "low_confidence"
    case.analysis.save()
    response = overlay(client, case)
    assert (response.status_code, response.json()["code"]) == (409, "not_ready")
