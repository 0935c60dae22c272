from __future__ import annotations

import json
import os
import sys
import time

import pytest
import service
from service import Service

PATIENCE = 20.0
ENVIRONMENT = os.environ | {"PYTHONUNBUFFERED": "1"}  # as the supervisor sets it


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Starts a supervised Python program; it is stopped in the end."""
    monkeypatch.setattr(service, "FIRST_PAUSE", 0.01)
    services = []

    def start(program: str) -> Service:
        command = [sys.executable, "-c", program]
        services.append(Service("sample", command, environment=ENVIRONMENT, logs=tmp_path))
        services[-1].watch()
        return services[-1]

    yield start
    for started in services:
        started.ask_to_stop()
        started.stop(time.monotonic() + PATIENCE)


def watch_until(started: Service, condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        started.watch()
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_process_that_ends_is_started_again_and_its_last_words_are_shown(run, tmp_path, capsys):
    log = tmp_path / "sample.log"
    started = run("import sys; print('my last words'); sys.exit(3)")
    watch_until(started, lambda: log.read_text().count("my last words") >= 2)
    shown = capsys.readouterr().out
    assert "sample | my last words" in shown
    assert "exit status 3" in shown


def test_pauses_between_starts_grow_and_are_bounded(run, monkeypatch):
    monkeypatch.setattr(service, "LONGEST_PAUSE", 0.05)
    started = run("raise SystemExit(1)")
    pauses = []
    watch_until(started, lambda: pauses.append(started._pause) or started._pause == 0.05)
    assert pauses == sorted(pauses)
    assert len(set(pauses)) > 1


def test_only_warnings_of_a_running_process_reach_the_terminal_and_all_of_it_the_log(run, tmp_path, capsys):
    lines = [{"level": "INFO", "message": "all is well"}, {"level": "WARNING", "message": "less so"}]
    program = (
        f"import time\nfor line in {[json.dumps(line) for line in lines]!r}: print(line)\nprint('end')\n"
    )
    started = run(program + "time.sleep(60)")
    log = tmp_path / "sample.log"
    watch_until(started, lambda: "end" in log.read_text())
    assert capsys.readouterr().out == " sample | WARNING less so\n"
    assert "all is well" in log.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_stopping_leaves_no_child_behind(run, tmp_path):
    program = "import subprocess, time; p = subprocess.Popen(['sleep', '60']); "
    started = run(program + "print('child', p.pid); time.sleep(60)")
    log = tmp_path / "sample.log"
    watch_until(started, lambda: "child" in log.read_text())
    pid = int(log.read_text().split()[-1])
    assert alive(pid)
    started.ask_to_stop()
    started.stop(time.monotonic() + PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_that_does_not_stop_is_killed_at_the_deadline(run, tmp_path):
    started = run("import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(60)")
    watch_until(started, lambda: "deaf" in (tmp_path / "sample.log").read_text())
    started.ask_to_stop()
    began = time.monotonic()
    started.stop(began + 0.2)
    assert time.monotonic() - began < 30
    assert "is killed" in (tmp_path / "sample.log").read_text()
