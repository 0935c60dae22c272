"""Fixtures that every part of the suite shares."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Where everything has to be there (HILUM_NO_SKIPS=1, as in CI), a skipped test is a failed one."""
    report = (yield).get_result()
    if report.skipped and os.environ.get("HILUM_NO_SKIPS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, though nothing may be skipped here: {report.longrepr[2]}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images, or a skip that states what is missing."""
    folder = Path(os.environ.get("HILUM_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "cxr" / "manifest.csv").exists():
        pytest.skip("the collection of real images is not here: set HILUM_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The packages of package-lock.json, installed next to it; a skip where there is no npm."""
    folder = ROOT / "node_modules"
    if not _is_installed(ROOT / "package-lock.json", folder / ".package-lock.json"):
        if not shutil.which("npm"):
            pytest.skip("npm is not installed: install Node.js 20 or newer")
        if folder.is_symlink():  # npm would empty the folder that others use
            folder.unlink()
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=280)
    return folder


def _is_installed(lock: Path, installed: Path) -> bool:
    """By version, since a checkout gives the lock a new date. Builds for other systems are optional."""
    if not installed.exists():
        return False
    there = json.loads(installed.read_text())["packages"]
    return all(
        there[name]["version"] == package["version"] if name in there else package.get("optional")
        for name, package in json.loads(lock.read_text())["packages"].items()
        if name
    )


@pytest.fixture
def site(db):
    from webapp.accounts.models import Site

    return Site.objects.create(name="St Anna", slug="st-anna", timezone="Europe/Berlin")


@pytest.fixture
def other_site(db):
    from webapp.accounts.models import Site

    return Site.objects.create(name="Harbour Clinic", slug="harbour", timezone="America/New_York")


@pytest.fixture
def person(db) -> Callable:
    """Makes a user: `person("ada", role="clinician", site=site)`; without a role, a member of nothing."""
    from webapp.accounts.models import Role, User
    from webapp.accounts.services import membership_set

    def make(username: str, *, role: str | None = None, site=None, **fields):
        user = User.objects.create_user(username, password="correct horse battery", **fields)
        if role:
            membership_set(user=user, site=site, role=Role.objects.get(name=role))
        return user

    return make


@pytest.fixture
def owner(person, site):
    """A clinician of the site."""
    return person("owner", role="clinician", site=site)


@pytest.fixture
def teammate(person, site):
    """Another clinician of the same site."""
    return person("teammate", role="clinician", site=site)


@pytest.fixture
def outsider(person, other_site):
    """A clinician of another site."""
    return person("outsider", role="clinician", site=other_site)


@pytest.fixture(autouse=True, scope="session")
def _capacity_is_looked_up_for_each_upload():
    """A test that fills the disk or the queue must not find what was known a second ago."""
    from webapp.scans.uploads import capacity

    capacity.KNOWN_SECONDS = 0.0


@pytest.fixture(autouse=True, scope="session")
def _flush_reaches_what_triggers_keep():
    """After a test with transactions of its own the database is emptied, evidence and audit log included."""
    from django.core.management.commands import flush

    handle = flush.Command.handle
    flush.Command.handle = lambda self, **options: _without_triggers(lambda: handle(self, **options))
    yield
    flush.Command.handle = handle


def _without_triggers(act: Callable[[], object]) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
            act()
            cursor.execute("SET session_replication_role = DEFAULT")
            return
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        act()
        for _, sql in triggers:
            cursor.execute(sql)


@pytest.fixture
def later_in_the_visit(monkeypatch):
    """The user has opened this patient or list before: its event is there, and costs no query again.

    What the first request adds is counted in tests/webapp/{api,pages}/test_access_recorded.py.
    """
    monkeypatch.setattr("webapp.audit.access._in_cache", lambda key: True)
    monkeypatch.setattr("webapp.audit.access.once", lambda key, period, act: None)
