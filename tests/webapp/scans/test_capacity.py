"""Beyond the bounds of disk, queue and quotas uploads are refused honestly, and nothing else is."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from tests.factories import UploadFactory
from webapp.accounts.services import token_create
from webapp.scans.models import Upload
from webapp.scans.services import upload_store

pytestmark = pytest.mark.django_db


@pytest.fixture
def full_disk(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))


@pytest.fixture
def page(client, owner) -> Client:
    client.force_login(owner)
    return client


@pytest.fixture
def program(owner, site) -> Client:
    _, raw = token_create(user=owner, site=site, name="router", scopes=None, expires_at=None)
    return Client(headers={"Authorization": f"Bearer {raw}"})


def from_page(page: Client, content: bytes = b"new bytes"):
    header = quote(json.dumps({"filename": "a.png"}))
    return page.post("/upload/file/", content, "application/octet-stream", headers={"X-Hilum-Upload": header})


def from_program(program: Client, content: bytes = b"new bytes"):
    return program.post("/api/v1/scans/", {"file": SimpleUploadedFile("a.png", content)})


def several(program: Client, content: bytes = b"new bytes"):
    return program.post("/api/v1/uploads/", {"files": [SimpleUploadedFile("a.png", content)]})


def refused(response) -> tuple[int, str]:
    assert int(response["Retry-After"]) > 0
    assert response.json()["remedy"]
    return response.status_code, response.json()["code"]


def test_with_a_full_disk_every_way_in_says_so_and_when_to_come_back(page, program, full_disk):
    for response in (from_page(page), from_program(program), several(program)):
        assert refused(response) == (503, "disk_full")
    assert not Upload.objects.exists()


def test_with_a_full_queue_what_was_accepted_stays_and_pages_are_served(page, program, site, owner, settings):
    settings.HILUM_MAX_WAITING = 2
    assert [from_page(page, b"%d" % n).status_code for n in range(2)] == [201, 201]
    for response in (from_page(page), from_program(program), several(program)):
        assert refused(response) == (503, "queue_full")
    assert Upload.objects.filter(status="received").count() == 2
    assert page.get("/").status_code == page.get("/upload/").status_code == 200
    Upload.objects.claim()
    assert from_page(page).status_code == 201


def test_a_site_has_so_many_uploads_an_hour(page, program, site, other_site, outsider, settings):
    settings.HILUM_SITE_UPLOADS = {site.slug: "2", "*": "1"}
    assert [from_page(page, b"%d" % n).status_code for n in range(2)] == [201, 201]
    first = Upload.objects.order_by("created_at")[0]
    Upload.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(minutes=50))
    response = from_program(program)
    assert refused(response) == (429, "upload_quota")
    assert 590 <= int(response["Retry-After"]) <= 601
    other = Client()
    other.force_login(outsider)
    assert [from_page(other, b"%d" % n).status_code for n in range(2)] == [201, 429]
    Upload.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(minutes=61))
    assert from_program(program).status_code == 201


def test_a_user_has_so_many_uploads_an_hour(page, site, teammate, settings):
    settings.HILUM_USER_UPLOADS = 1
    UploadFactory(site=site, user=teammate)
    assert from_page(page).status_code == 201
    assert refused(from_page(page, b"more")) == (429, "upload_quota")


def test_the_members_of_an_accepted_archive_are_not_refused(site, owner, settings, full_disk):
    assert upload_store(user=owner, site=site, chunks=[b"unpacked later"])[1]


def test_a_person_has_so_many_requests_a_minute(page, teammate, settings, monkeypatch):
    monkeypatch.setattr("webapp.core.rate.time.time", lambda: 1_000_000_030.0)
    cache.clear()
    settings.HILUM_PAGE_RATE = 3
    assert [page.get("/").status_code for _ in range(4)] == [200, 200, 200, 429]
    response = page.get("/", headers={"Accept": "application/json"})
    assert refused(response) == (429, "rate_limited")
    assert Client().get("/sign-in/").status_code == 200
    other = Client()
    other.force_login(teammate)
    assert other.get("/").status_code == 200
    monkeypatch.setattr("webapp.core.rate.time.time", lambda: 1_000_000_090.0)
    assert page.get("/").status_code == 200
    settings.HILUM_PAGE_RATE = 0
    assert {page.get("/").status_code for _ in range(5)} == {200}
