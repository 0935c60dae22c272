from __future__ import annotations

import pytest

from tests.webapp.pages.conftest import store_preview

pytestmark = pytest.mark.django_db


def test_a_picture_goes_to_members_of_its_site_only(case, browser, owner, teammate, stranger, settings):
    content = store_preview(case.scan, settings)
    where = f"/media/{case.scan.pk}/preview/"
    for member in (owner, teammate):
        answer = browser(member).get(where)
        assert b"".join(answer.streaming_content) == content
        assert answer["Content-Type"] == "image/png"
    assert browser(stranger).get(where).status_code == 404


def test_a_picture_is_kept_by_the_readers_browser_alone_and_asked_for_anew(case, browser, owner, settings):
    store_preview(case.scan, settings)
    client, where = browser(owner), f"/media/{case.scan.pk}/preview/"
    first = client.get(where)
    assert "private" in first["Cache-Control"]
    assert "public" not in first["Cache-Control"]
    assert first["ETag"] == f'"{case.scan.preview_sha256}"'
    assert client.get(where, headers={"if-none-match": first["ETag"]}).status_code == 304


def test_a_stranger_gets_no_304_either(case, browser, stranger):
    answer = browser(stranger).get(
        f"/media/{case.scan.pk}/preview/", headers={"if-none-match": f'"{case.scan.preview_sha256}"'}
    )
    assert answer.status_code == 404


@pytest.mark.parametrize("kind", ["working", "original", "secret"])
def test_only_what_is_meant_to_be_seen_is_served(kind, case, browser, owner):
    assert browser(owner).get(f"/media/{case.scan.pk}/{kind}/").status_code == 404


def test_a_picture_missing_from_the_store_says_so(case, browser, owner):
    answer = browser(owner).get(f"/media/{case.scan.pk}/display/")
    assert answer.status_code == 503
    assert b"missing from the store" in answer.content
