"""Stored files: whole or absent, under names of ours."""

from __future__ import annotations

import os
import uuid

import pytest

from webapp.core import storage


@pytest.fixture(autouse=True)
def data(settings, tmp_path):
    settings.HILUM_DATA = tmp_path / "data"
    return settings.HILUM_DATA


@pytest.fixture
def draft(tmp_path):
    path = tmp_path / "draft"
    path.write_bytes(b"pixels")
    return path


def test_a_file_is_stored_and_read_back(draft):
    name = f"ab/{uuid.uuid4()}/display.png"
    target = storage.put_file(draft, name)
    with storage.open_file(name) as file:
        assert file.read() == b"pixels"
    assert not draft.exists()
    assert target.stat().st_mode & 0o077 == 0


def test_storing_again_replaces_the_file_whole(draft, tmp_path):
    name = f"{uuid.uuid4()}.png"
    storage.put_file(draft, name)
    again = tmp_path / "again"
    again.write_bytes(b"other pixels")
    storage.put_file(again, name)
    assert storage.path_of(name).read_bytes() == b"other pixels"
    assert [p.name for p in storage.path_of(name).parent.iterdir()] == [name]


def test_a_file_of_another_disk_is_copied_with_its_place_first(draft, monkeypatch):
    name = f"{uuid.uuid4()}.png"
    target = storage.path_of(name)
    replaced = []
    real = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (replaced.append(a), real(a, b)))
    near = storage._copy_near
    target.parent.mkdir(parents=True)
    copied = near(draft, target)
    assert copied.parent == target.parent
    storage.put_file(copied, name)
    assert target.read_bytes() == b"pixels"
    assert replaced == [copied]
    assert not draft.exists()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../secret",
        "/etc/passwd",
        "report.png",
        "1.2.840.113619.2.55",
        "a/../6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1",
        ".6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1",
        "6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1/..",
        "6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1\n",
    ],
)
def test_a_name_that_is_not_ours_is_refused(draft, name):
    with pytest.raises(ValueError, match="UUID"):
        storage.put_file(draft, name)
    assert draft.exists()


def test_a_missing_file_is_missing_and_removing_it_is_fine():
    name = str(uuid.uuid4())
    with pytest.raises(FileNotFoundError):
        storage.open_file(name)
    storage.delete_file(name)
