from __future__ import annotations

import json
import socket

import pytest
import supervise


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(supervise, "DATA", tmp_path / "data")
    return tmp_path / "data"


def test_a_second_instance_on_the_same_folder_is_refused_in_words(folder, capsys):
    (folder / "run").mkdir(parents=True)
    lock = supervise.take_lock(folder / "run" / "lock")
    assert lock is not None
    assert supervise.main() == 1
    assert "already running" in capsys.readouterr().err
    lock.close()


def test_a_port_in_use_is_reported_with_a_free_one(folder, monkeypatch, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setattr(supervise, "PORT", port)
        assert supervise.main() == 1
    assert f"make run PORT={port + 1}" in capsys.readouterr().err


def test_the_lock_is_free_again_when_its_holder_is_gone(tmp_path):
    supervise.take_lock(tmp_path / "lock").close()
    assert supervise.take_lock(tmp_path / "lock") is not None


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        (json.dumps({"state": "ready"}), True),
        (json.dumps({"state": "starting"}), False),
        ("", False),
        ("{}", False),
    ],
)
def test_a_worker_is_ready_when_its_file_is(tmp_path, text, ready):
    readiness = tmp_path / "infer-infer@host.json"
    readiness.write_text(text)
    assert supervise.is_ready(readiness) is ready


def test_the_parts_see_demo_mode_and_keep_their_caches_in_the_data_folder(folder, monkeypatch):
    monkeypatch.delenv("HILUM_ENV", raising=False)
    environment = supervise.environment()
    assert environment["HILUM_ENV"] == "demo"
    for name in ("XDG_CACHE_HOME", "TORCH_HOME", "MPLCONFIGDIR"):
        assert environment[name].startswith(str(folder))


def test_the_site_listens_on_loopback_only():
    assert f"127.0.0.1:{supervise.PORT}" in supervise.web_options()


def test_the_dicom_listener_is_on_loopback_and_left_out_where_its_port_is_taken(folder):
    environment = supervise.environment()
    assert environment["DICOM_BIND"] == "127.0.0.1"
    names = [service.name for service in supervise.services(environment)]
    assert names == ["web", "ingest", "infer", "train", "notify", "beat", "dicom"]
    assert "dicom" not in [service.name for service in supervise.services(environment, dicom=False)]
