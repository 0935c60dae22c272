from __future__ import annotations

import subprocess
import sys

import bootstrap
import pytest


@pytest.fixture
def clone(tmp_path, monkeypatch):
    (tmp_path / "requirements.txt").write_text("one==1\n")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\ntwo==2\n")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "python_version", lambda: "3.11")
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    monkeypatch.delenv("TORCH", raising=False)
    (tmp_path / ".venv").mkdir()
    return tmp_path


@pytest.fixture
def installed(monkeypatch) -> list[tuple]:
    calls: list[tuple] = []
    monkeypatch.setattr(bootstrap, "install", lambda *arguments: bool(calls.append(arguments)) or True)
    return calls


def test_it_installs_once_and_again_only_when_a_pin_changes(clone, installed):
    assert [bootstrap.main(), bootstrap.main()] == [0, 0]
    assert len(installed) == 1
    (clone / "requirements.txt").write_text("one==2\n")
    assert bootstrap.main() == 0
    assert len(installed) == 2


def test_a_change_in_a_file_that_is_drawn_in_counts(clone):
    before = bootstrap.fingerprint("requirements-dev.txt")
    (clone / "requirements.txt").write_text("one==2\n")
    assert bootstrap.fingerprint("requirements-dev.txt") != before


def test_what_failed_to_install_is_tried_again(clone, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "install", lambda *_: False)
    assert bootstrap.main() == 1
    assert "network" in capsys.readouterr().err
    assert not list((clone / ".venv").glob("*.stamp"))


def test_the_cpu_build_comes_from_its_own_index(clone, installed, monkeypatch):
    monkeypatch.setenv("TORCH", "cpu")
    assert bootstrap.main() == 0
    assert installed == [("requirements.txt", "https://download.pytorch.org/whl/cpu")]


def test_an_unknown_torch_build_is_told(clone, installed, monkeypatch, capsys):
    monkeypatch.setenv("TORCH", "rocm")
    assert bootstrap.main() == 1
    assert "TORCH=cpu" in capsys.readouterr().err
    assert installed == []


def test_make_says_so_when_no_python_fits():
    done = subprocess.run(["make", "setup", "PYTHON="], cwd=bootstrap.ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Python 3.11, 3.12 or 3.13" in done.stderr
