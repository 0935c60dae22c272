from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from classifier.images.raster.png import write_grey
from tests.webapp.pages.conftest import store_preview
from webapp.core import storage

pytestmark = pytest.mark.django_db


def test_an_image_goes_to_members_of_its_site_only(case, browser, owner, teammate, outsider, settings):
    content = store_preview(case.scan, settings)
    where = f"/media/{case.scan.pk}/preview/"
    for member in (owner, teammate):
        response = browser(member).get(where)
        assert b"".join(response.streaming_content) == content
        assert response["Content-Type"] == "image/png"
    assert browser(outsider).get(where).status_code == 404


def test_an_image_is_kept_by_the_readers_browser_alone_and_asked_for_again(case, browser, owner, settings):
    store_preview(case.scan, settings)
    client, where = browser(owner), f"/media/{case.scan.pk}/preview/"
    first = client.get(where)
    assert "private" in first["Cache-Control"]
    assert "public" not in first["Cache-Control"]
    assert first["ETag"] == f'"{case.scan.preview_sha256}"'
    assert client.get(where, headers={"if-none-match": first["ETag"]}).status_code == 304


def test_an_outsider_gets_no_304_either(case, browser, outsider):
    response = browser(outsider).get(
        f"/media/{case.scan.pk}/preview/", headers={"if-none-match": f'"{case.scan.preview_sha256}"'}
    )
    assert response.status_code == 404


@pytest.mark.parametrize("kind", ["working", "original", "secret"])
def test_only_what_is_meant_to_be_seen_is_served(kind, case, browser, owner):
    assert browser(owner).get(f"/media/{case.scan.pk}/{kind}/").status_code == 404


def test_an_image_missing_from_the_store_states_so(case, browser, owner):
    response = browser(owner).get(f"/media/{case.scan.pk}/display/")
    assert response.status_code == 503
    assert b"missing from storage" in response.content


def test_a_thumbnail_is_the_preview_made_small_for_members_only(case, browser, owner, outsider, settings):
    draft = settings.HILUM_DATA / "incoming" / f"{case.scan.pk}.png"
    draft.parent.mkdir(exist_ok=True, parents=True)
    write_grey(draft, np.tile(np.linspace(0, 255, 1024, dtype=np.uint8), (512, 1)))
    storage.put_file(draft, case.scan.preview_name)
    client, where = browser(owner), f"/media/{case.scan.pk}/thumbnail/"
    first = client.get(where)
    with Image.open(io.BytesIO(first.content)) as small:
        assert small.size == (176, 88)
        assert np.asarray(small)[40, [2, 88, 173]].tolist() == pytest.approx([3, 128, 252], abs=3)
    assert "private" in first["Cache-Control"]
    assert client.get(where, headers={"if-none-match": first["ETag"]}).status_code == 304
    assert client.get(f"/media/{case.scan.pk}/preview/")["ETag"] != first["ETag"]
    assert browser(outsider).get(where).status_code == 404


def test_a_thumbnail_of_a_preview_that_is_missing_or_damaged_states_so(case, browser, owner, settings):
    where = f"/media/{case.scan.pk}/thumbnail/"
    assert b"missing" in browser(owner).get(where).content
    store_preview(case.scan, settings)
    storage.path_of(case.scan.preview_name).write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    response = browser(owner).get(where)
    assert (response.status_code, b"damaged" in response.content) == (503, True)


def store_display(scan, settings) -> np.ndarray:
    """Put a 16-bit image where the scan's display image is stated to be; returns its levels."""
    levels = np.arange(scan.rows * scan.columns, dtype=np.uint16).reshape(scan.rows, scan.columns) * 3
    draft = settings.HILUM_DATA / "incoming" / f"{scan.pk}-display.png"
    draft.parent.mkdir(exist_ok=True, parents=True)
    write_grey(draft, levels)
    storage.put_file(draft, scan.display_name)
    return levels


def test_grey_levels_travel_in_sixteen_bits(case, browser, owner, teammate, outsider, settings):
    levels = store_display(case.scan, settings)
    where = f"/media/{case.scan.pk}/pixels/"
    for member in (owner, teammate):
        response = browser(member).get(where)
        assert response["Content-Type"] == "application/octet-stream"
        sent = np.frombuffer(response.content, "<u2").reshape(levels.shape)
        np.testing.assert_array_equal(sent, levels)
    assert browser(outsider).get(where).status_code == 404


def test_grey_levels_are_asked_for_again_and_not_sent_twice(case, browser, owner, outsider, settings):
    store_display(case.scan, settings)
    client, where = browser(owner), f"/media/{case.scan.pk}/pixels/"
    first = client.get(where)
    assert "private" in first["Cache-Control"]
    assert first["ETag"] != f'"{case.scan.display_sha256}"'
    seen = {"if-none-match": first["ETag"]}
    again = client.get(where, headers=seen)
    assert (again.status_code, again.content) == (304, b"")
    assert browser(outsider).get(where, headers=seen).status_code == 404


def test_a_damaged_display_image_is_reported_as_such(case, browser, owner, settings):
    store_display(case.scan, settings)
    storage.path_of(case.scan.display_name).write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    response = browser(owner).get(f"/media/{case.scan.pk}/pixels/")
    assert response.status_code == 503
    assert b"damaged" in response.content


def test_an_image_of_another_size_is_not_taken_for_the_scans(case, browser, owner, settings):
    store_display(case.scan, settings)
    type(case.scan).objects.filter(pk=case.scan.pk).update(rows=case.scan.rows // 2)
    assert browser(owner).get(f"/media/{case.scan.pk}/pixels/").status_code == 503
