"""Health, system checks, the database's clock and the shared cache's form."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.db import OperationalError, connection
from django.utils import timezone

from webapp.core import checks
from webapp.core.caching import JsonSerializer
from webapp.core.jobs.presence import report_presence
from webapp.core.jobs.queues import Queue
from webapp.core.models import WorkerPresence


@pytest.mark.django_db
def test_health_is_reported_to_anybody_and_reports_no_more(client):
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_health_fails_with_the_database(client, monkeypatch):
    def down():
        raise OperationalError("no database at db:5432")

    monkeypatch.setattr(connection, "cursor", down)
    response = client.get("/healthz")
    assert response.status_code == 503
    assert "5432" not in response.content.decode()


def test_the_project_passes_its_own_checks():
    assert not [m for m in run_checks() if m.is_serious() and m.id != "hilum.E005"]


def ids(check) -> list[str]:
    return [message.id for message in check(None)]


@pytest.mark.parametrize(
    ("check", "name", "value", "expected"),
    [
        (checks.secret_key_is_strong, "SECRET_KEY", "short", "hilum.E002"),
        (checks.secret_key_is_strong, "SECRET_KEY", "a" * 60, "hilum.E002"),
        (checks.hosts_are_named, "ALLOWED_HOSTS", ["*"], "hilum.E003"),
        (checks.engine_is_known, "HILUM_ENGINE", "tensorrt", "hilum.E022"),
        (checks.proxy_is_configured, "HILUM_ENV", "production", "hilum.W008"),
    ],
)
def test_an_unsafe_setting_is_reported(settings, check, name, value, expected):
    assert ids(check) == []
    setattr(settings, name, value)
    assert ids(check) == [expected]


def test_a_data_folder_of_everybody_is_reported(settings, tmp_path):
    settings.HILUM_DATA, settings.HILUM_ENV = tmp_path, "production"
    tmp_path.chmod(0o700)
    assert ids(checks.data_folder_is_writable) == []
    tmp_path.chmod(0o755)
    assert ids(checks.data_folder_is_writable) == ["hilum.W001"]
    settings.HILUM_DATA = tmp_path / "absent"
    assert ids(checks.data_folder_is_writable) == ["hilum.E001"]


def test_a_copy_without_models_is_reported(settings, tmp_path):
    settings.HILUM_ARTIFACTS = tmp_path
    assert ids(checks.artifacts_exist) == ["hilum.W004"]
    (tmp_path / "cxr.safetensors").touch()
    assert ids(checks.artifacts_exist) == []


def test_torch_in_the_web_process_is_reported(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", object())
    monkeypatch.delitem(sys.modules, "worker.app", raising=False)
    assert ids(checks.torch_stays_in_the_workers) == ["hilum.E005"]
    monkeypatch.setitem(sys.modules, "worker.app", object())
    assert ids(checks.torch_stays_in_the_workers) == []


@pytest.mark.sqlite
@pytest.mark.django_db
def test_a_database_that_would_lock_up_is_reported(monkeypatch):
    assert ids(checks.database_options_are_safe) == []
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    assert ids(checks.database_options_are_safe) == ["hilum.E006"]


@pytest.mark.sqlite
@pytest.mark.django_db
def test_the_database_writes_ahead_and_minds_its_keys():
    with connection.cursor() as cursor:
        for pragma, expected in (("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 1)):
            cursor.execute(f"PRAGMA {pragma}")
            assert cursor.fetchone() == (expected,)


def test_cached_values_are_json_and_numbers_stay_countable():
    form = JsonSerializer()
    assert form.dumps(7) == 7
    for value in (7, [1.5, 2.5], {"a": None}, "x", True):
        assert form.loads(form.dumps(value)) == value
    with pytest.raises(TypeError):
        form.dumps(object())


@pytest.mark.django_db
def test_a_deployment_check_names_the_workers_that_have_not_been_seen():
    [warning] = checks.workers_are_present(None)
    assert warning.id == "hilum.W015"
    assert "infer, ingest, notify, train" in warning.msg
    report_presence(Queue, "all@host")
    assert checks.workers_are_present(None) == []
    WorkerPresence.objects.filter(queue="train").update(seen_at=timezone.now() - timedelta(hours=1))
    [warning] = checks.workers_are_present(None)
    assert warning.msg.endswith("for: train.")
