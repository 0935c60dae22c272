from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from tests.factories import UserFactory, artifact, parsed
from webapp.registry.services import model_register
from webapp.scans.models import Upload
from webapp.scans.services import upload_finish, upload_store

ROOT = Path(__file__).resolve().parents[3]
PASSPHRASE = "twelve white horses"


@pytest.fixture
def data(settings, tmp_path) -> Path:
    """A data folder of its own, and a passphrase."""
    settings.HILUM_DATA = tmp_path / "data"
    settings.HILUM_DATA.mkdir()
    settings.HILUM_BACKUP_PASSPHRASE = PASSPHRASE
    return settings.HILUM_DATA


@pytest.fixture
def owner(db):
    """Without a role: a test with transactions of its own leaves no roles behind."""
    return UserFactory()


@pytest.fixture
def scan(data, owner, site, tmp_path):
    """One scan and one model: five files."""
    made = finished(owner, site, b"the bytes of an image")
    model_register(artifact(tmp_path / "m.safetensors"))
    return made


def finished(owner, site, content: bytes):
    """An upload that has become a scan."""
    upload_store(user=owner, site=site, chunks=[content])
    upload = Upload.objects.claim()[0]
    return upload_finish(upload=upload, results=[parsed(upload, upload.attempt_token)])[0]


class EmptySystem:
    """A system of the same engine that has no table and no file; its commands are processes of their own."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.data = folder
        self.environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
            "HILUM_ENV": "demo",
            "HILUM_DATA": str(folder),
            "HILUM_BACKUP_PASSPHRASE": PASSPHRASE,
            "DATABASE_URL": database_url,
        }

    def manage(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *map(str, arguments)],
            cwd=ROOT,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def media(self) -> dict[str, bytes]:
        return files_of(self.data / "media")


def files_of(folder: Path) -> dict[str, bytes]:
    """Every stored file by its name."""
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".held/")}


@pytest.fixture
def empty_system(tmp_path):
    if connection.vendor == "sqlite":
        yield EmptySystem(tmp_path / "other", f"sqlite:///{tmp_path / 'other' / 'hilum.sqlite3'}")
        return
    own, name = connection.settings_dict, f"hilum_{uuid.uuid4().hex[:8]}"
    server = f"postgres://{own['USER']}:{own['PASSWORD']}@{own['HOST']}:{own['PORT'] or 5432}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield EmptySystem(tmp_path / "other", f"{server}/{name}")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
