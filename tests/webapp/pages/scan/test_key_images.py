"""Key images: kept with their author, listed on the page, in the report as they were marked."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from django.urls import reverse
from PIL import Image

from tests.factories import KEY_IMAGE_VIEW as VIEW
from webapp.accounts.preferences import set_preference
from webapp.audit.models import AuditEvent
from webapp.core import storage
from webapp.labels.marks.key_images import MAX_KEY_IMAGES, key_image_add
from webapp.labels.marks.models import KeyImage
from webapp.labels.marks.services import mark_add

pytestmark = pytest.mark.django_db


def send(client, method, url, body=None):
    more = {"data": json.dumps(body), "content_type": "application/json"} if body is not None else {}
    return getattr(client, method)(url, HTTP_ACCEPT="application/json", **more)


def add(client, scan, **changes):
    url = reverse("pages:scan_key_images", args=[scan.pk])
    return send(client, "post", url, {"view": VIEW | changes})


def test_a_key_image_is_listed_with_its_author_and_removed_with_a_trace(case, browser, owner, teammate):
    added = add(browser(owner), case.scan, opacity=0.6)
    assert added.status_code == 201
    assert added.json()["text"].endswith("zoom 2.0, heatmap Pneumonia")
    page = browser(teammate).get(reverse("pages:scan", args=[case.scan.pk]))
    (shown,) = page.context["marks"][0]["keyImages"]
    assert (shown["by"], shown["view"]) == ("owner", VIEW | {"opacity": 0.6})
    gone = reverse("pages:key_image", args=[shown["id"]])
    assert send(browser(teammate), "delete", gone).status_code == 200
    assert send(browser(teammate), "delete", gone).status_code == 404
    kept = KeyImage.objects.get()
    assert (kept.signed_as, kept.removed_by) == ("owner", teammate)
    actions = AuditEvent.objects.filter(action__startswith="key_image.").values_list("action", flat=True)
    assert sorted(actions) == ["key_image.added", "key_image.removed"]


@pytest.mark.parametrize(
    "change",
    [
        {"zoom": 0},
        {"zoom": "2"},
        {"width": -1},
        {"offset": [1, 2]},
        {"rotation": 45},
        {"area": [50, 20, 10, 40]},
        {"axes": [1, 1, 1, 1]},
        {"opacity": 2},
        {"colours": "jet"},
        {"level": float("nan")},
        {"finding": 7},
    ],
)
def test_a_view_that_is_none_is_refused_by_name(case, browser, owner, change):
    response = add(browser(owner), case.scan, **change)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert next(iter(change)) in response.json()["detail"]
    assert not KeyImage.objects.exists()


def test_an_image_has_a_limited_number_of_key_images(case, browser, owner):
    for _ in range(MAX_KEY_IMAGES):
        key_image_add(scan=case.scan, actor=owner, view=VIEW)
    assert (add(browser(owner), case.scan).status_code, KeyImage.objects.count()) == (409, MAX_KEY_IMAGES)


def test_outsiders_find_no_key_image(case, browser, owner, outsider):
    one = key_image_add(scan=case.scan, actor=owner, view=VIEW)
    for name in ("key_image", "report_key_image"):
        method = "delete" if name == "key_image" else "get"
        assert send(browser(outsider), method, reverse(f"pages:{name}", args=[one.pk])).status_code == 404
    assert KeyImage.objects.filter(removed_at=None).exists()


def test_key_images_of_others_are_hidden_until_the_first_impression(case, browser, owner, teammate):
    key_image_add(scan=case.scan, actor=teammate, view=VIEW)
    set_preference(user=owner, key="read_first", value=True)
    page = browser(owner).get(reverse("pages:scan", args=[case.scan.pk]))
    assert page.context["marks"][0]["keyImages"] == []


@pytest.fixture
def graded(case, settings):
    """100 rows of 200 pixels whose level is their column, 0 to 199."""
    scan = case.scan
    scan.rows, scan.columns = 100, 200
    scan.save()
    draft = settings.HILUM_DATA / "incoming" / f"{scan.pk}-display.png"
    draft.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(np.tile(np.arange(200, dtype=np.uint16), (100, 1))).save(draft)
    storage.put_file(draft, scan.display_name)
    return scan


@pytest.mark.parametrize(
    ("change", "size", "first", "last"),
    [
        ({}, (40, 20), 26, 125),
        ({"inverted": True}, (40, 20), 229, 130),
        ({"axes": [-1, 0, 0, 1]}, (40, 20), 125, 26),
        ({"axes": [0, 1, -1, 0]}, (20, 40), 26, 125),  # turned right: the image's columns run down
        ({"width": 50.0, "level": 25.0}, (40, 20), 51, 250),
    ],
)
def test_the_report_draws_a_key_image_as_it_was_marked(graded, browser, owner, change, size, first, last):
    one = key_image_add(scan=graded, actor=owner, view=VIEW | change)
    response = browser(owner).get(reverse("pages:report_key_image", args=[one.pk]))
    drawn = Image.open(io.BytesIO(response.content))
    assert drawn.size == size
    corners = [drawn.getpixel(at)[0] for at in ((0, 0), (size[0] - 1, size[1] - 1))]
    assert corners == pytest.approx([first, last], abs=2)


@pytest.mark.parametrize(
    ("axes", "target"),
    [
        ([1, 0, 0, 1], (10, 5)),
        ([-1, 0, 0, 1], (30, 5)),
        ([1, 0, 0, -1], (10, 15)),
        ([0, 1, -1, 0], (15, 10)),
        ([0, 1, 1, 0], (5, 10)),
    ],
)
def test_marks_lie_on_the_printed_key_image_where_they_were_set(graded, browser, owner, axes, target):
    """Of the part from (10, 20) to (50, 40), a pixel value at (20, 25), however the view is turned."""
    mark_add(scan=graded, actor=owner, kind="probe", points=[[20, 25]])
    one = key_image_add(scan=graded, actor=owner, view=VIEW | {"axes": axes})
    drawn = browser(owner).get(reverse("pages:report_key_image", args=[one.pk])).content
    pixels = np.asarray(Image.open(io.BytesIO(drawn))).astype(int)
    yellow = np.argwhere((pixels[..., 0] > 200) & (pixels[..., 2] < 90))
    cross = yellow[np.abs(yellow - target[::-1]).max(axis=1) <= 6]
    assert len(cross) >= 12
    assert np.abs(cross.mean(axis=0) - target[::-1]).max() <= 2


def test_page_and_pdf_of_the_report_have_the_key_images(graded, browser, owner):
    from pypdf import PdfReader

    key_image_add(scan=graded, actor=owner, view=VIEW)
    page = browser(owner).get(reverse("pages:report", args=[graded.pk])).content.decode()
    assert "Key images" in page
    assert "zoom 2.0" in page
    pdf = browser(owner).get(reverse("pages:report_pdf", args=[graded.pk])).content
    read = PdfReader(io.BytesIO(pdf))
    assert "Key image: W" in " ".join(" ".join(page.extract_text() for page in read.pages).split())
    assert sum(len(page.images) for page in read.pages) == 2
