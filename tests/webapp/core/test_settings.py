"""Settings: safe when nothing is stated, each mode by its name. Each case starts a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from webapp.settings.environment import env, kept_secret, version

ROOT = Path(__file__).resolve().parents[3]
FULL = {
    "SECRET_KEY": "k" * 10 + "an-unguessable-key-of-more-than-fifty-characters-0123456789",
    "ALLOWED_HOSTS": "hilum.example.org",
    "DATABASE_URL": "postgres://hilum:secret@db/hilum",
}
ASK = """
import json
from django.conf import settings as s
names = ["DEBUG", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS",
         "ALLOWED_HOSTS", "SECRET_KEY", "DEIDENTIFY_KEY", "DEIDENTIFY_ON_INGEST", "SESSION_COOKIE_NAME",
         "CSRF_COOKIE_NAME", "SECRET_KEY_FALLBACKS", "AUDIT_KEYS", "WEBHOOK_KEYS"]
values = {n: getattr(s, n) for n in names}
values["engine"] = s.DATABASES["default"]["ENGINE"].rsplit(".", 1)[1]
values["options"] = s.DATABASES["default"].get("OPTIONS", {})
values["cache"] = s.CACHES["default"]["BACKEND"].rsplit(".", 1)[1]
values["proxy"] = getattr(s, "SECURE_PROXY_SSL_HEADER", None)
print(json.dumps(values, default=str))
"""


def start(tmp_path, **variables) -> subprocess.CompletedProcess:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = kept | {"DJANGO_SETTINGS_MODULE": "webapp.settings", "HILUM_DATA": str(tmp_path / "data")}
    return subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.slow
def test_production_names_every_static_file_by_its_content(tmp_path):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    root = tmp_path / "static"
    done = subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--noinput"],
        cwd=ROOT,
        env=kept | FULL | {"HILUM_DATA": str(tmp_path / "data"), "HILUM_STATIC_ROOT": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    paths = json.loads((root / "staticfiles.json").read_text())["paths"]
    shell = (root / paths["js/shell.js"]).read_text()
    imported = set(re.findall(r"""from ["']\./([\w.-]+)["']""", shell))
    assert imported
    assert {f"js/{name}" for name in imported} <= set(paths.values())


def test_an_earlier_secret_key_is_accepted_while_it_is_named(tmp_path):
    found = settings_of(tmp_path, **FULL, SECRET_KEY_FALLBACKS="one,two", AUDIT_KEYS="audit")
    assert found["SECRET_KEY_FALLBACKS"] == ["one", "two"]
    assert found["WEBHOOK_KEYS"] == [FULL["SECRET_KEY"], "one", "two"]
    assert found["AUDIT_KEYS"] == ["audit"]


def settings_of(tmp_path, **variables) -> dict:
    done = start(tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_production_is_the_default_and_is_safe(tmp_path):
    found = settings_of(tmp_path, **FULL)
    assert found["DEBUG"] is False
    assert found["SECURE_SSL_REDIRECT"] is True
    assert found["SESSION_COOKIE_SECURE"] is found["CSRF_COOKIE_SECURE"] is True
    assert found["SECURE_HSTS_SECONDS"] >= 31_536_000
    assert found["SESSION_COOKIE_NAME"] == "__Host-hilum_session"
    assert found["CSRF_COOKIE_NAME"] == "__Host-hilum_csrf"
    assert (found["ALLOWED_HOSTS"], found["engine"]) == (["hilum.example.org"], "postgresql")
    assert found["proxy"] is None


@pytest.mark.parametrize("missing", FULL)
def test_production_does_not_start_without(tmp_path, missing):
    done = start(tmp_path, **{name: value for name, value in FULL.items() if name != missing})
    assert done.returncode != 0
    assert f"{missing} must be set in production" in done.stderr


def test_an_unknown_mode_does_not_start(tmp_path):
    done = start(tmp_path, HILUM_ENV="prod")
    assert "HILUM_ENV must be one of" in done.stderr


def test_a_proxy_is_believed_when_it_is_named(tmp_path):
    found = settings_of(tmp_path, **FULL, HILUM_TRUSTED_PROXIES="1", REDIS_URL="redis://redis/0")
    assert found["proxy"] == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert found["cache"] == "RedisCache"


def test_the_demo_needs_nothing_and_debugs_nothing(tmp_path):
    found = settings_of(tmp_path, HILUM_ENV="demo")
    assert found["DEBUG"] is False
    assert found["SECURE_SSL_REDIRECT"] is False
    assert found["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert (found["engine"], found["options"]["transaction_mode"]) == ("sqlite3", "IMMEDIATE")
    assert found["SECRET_KEY"] == settings_of(tmp_path, HILUM_ENV="demo")["SECRET_KEY"]
    key = tmp_path / "data" / "secret-key"
    assert key.read_text() == found["SECRET_KEY"]
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700


def test_pseudonyms_get_a_key_that_is_kept_outside_production(tmp_path):
    assert settings_of(tmp_path, HILUM_ENV="demo")["DEIDENTIFY_ON_INGEST"] is False
    key = tmp_path / "data" / "deidentify-key"
    assert len(key.read_text()) >= 32
    assert key.stat().st_mode & 0o777 == 0o600
    assert settings_of(tmp_path, **FULL, DEIDENTIFY_ON_INGEST="1")["DEIDENTIFY_KEY"] == ""


def test_processes_that_start_at_once_agree_on_the_secret(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: kept_secret(tmp_path / "key"), range(32)))
    assert len(found) == 1
    assert len(found.pop()) > 60
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_every_variable_is_explained():
    page = (ROOT / "docs" / "settings.md").read_text()
    assert [name for name in env.scheme if f"| `{name}` |" not in page] == []


def test_site_schema_and_client_have_the_version_of_the_project(settings):
    assert settings.SPECTACULAR_SETTINGS["VERSION"] == version()
    client = (ROOT / "clients" / "python" / "src" / "hilum_client" / "version.py").read_text()
    assert f'VERSION = "{version()}"' in client
