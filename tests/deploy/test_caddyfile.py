"""The proxy's configuration against the addresses of the site."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from django.urls import get_resolver, reverse
from rest_framework.parsers import MultiPartParser

from tests.deploy.test_compose import ROOT
from webapp.settings.environment import env

ANY_ID = "00000000-0000-4000-8000-000000000000"
TEXT = (ROOT / "deploy" / "Caddyfile").read_text()
RAW_BODIES = ("pages:upload_file", "pages:model_import", "pages:label_manifest_file")


def block(opening: str) -> str:
    return re.search(rf"^\t{opening} {{$(.*?)^\t}}$", TEXT, re.MULTILINE | re.DOTALL)[1]


def passes_through(path: str) -> bool:
    patterns = re.search(r"^\t@files path (.+)$", TEXT, re.MULTILINE)[1].split()
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def upload_addresses() -> set[str]:
    """Every address whose view reads files."""
    api = next(p for p in get_resolver().url_patterns if str(p.pattern) == "api/v1/").url_patterns
    forms = {
        f"/api/v1/{re.sub('<[^>]+>', ANY_ID, str(pattern.pattern))}"
        for pattern in api
        if hasattr(getattr(pattern.callback, "cls", None), "post")
        and MultiPartParser in getattr(getattr(pattern.callback, "cls", None), "parser_classes", ())
    }
    pages = {reverse(name, args=[ANY_ID] if "manifest" in name else []) for name in RAW_BODIES}
    return forms | pages | {reverse("dicomweb:studies"), reverse("dicomweb:study", args=["1.2.3"])}


def test_files_reach_the_server_as_they_come():
    assert {path for path in upload_addresses() if not passes_through(path)} == set()


@pytest.mark.parametrize("path", ["/", "/sign-in/", "/admin/login/", "/upload/states/", "/api/v1/me/"])
def test_everything_else_is_collected_first(path):
    assert not passes_through(path)


def test_what_is_collected_has_fifteen_seconds_and_a_small_size():
    rest, files = block("handle"), block("handle @files")
    assert re.search(r"read_timeout 15s\b", rest)
    assert re.search(r"request_buffers 4MB\b", rest)
    assert re.search(r"max_size 4MB\b", rest)
    assert "request_buffers" not in files


def test_the_largest_archive_passes():
    largest = int(re.search(r"max_size (\d+)MB", block("handle @files"))[1]) * 1_000_000
    assert largest > env.scheme["HILUM_MAX_ARCHIVE_BYTES"][1]
