from __future__ import annotations

import threading
import time
from datetime import timedelta
from queue import Queue

import pytest
from django.db import OperationalError

from tests.factories import UploadFactory
from webapp.scans.models import Upload
from worker import runner as runner_module
from worker import runners
from worker.runner import Heartbeat, Job, JobRunner

PATIENCE = 10.0


class Counting:
    """A job that takes things from a list; what is an exception in it is raised."""

    name = "counting"

    def __init__(self, *things) -> None:
        self.things, self.done, self.closed = list(things), [], False
        self.changed = threading.Condition()

    def prepare(self) -> None:
        self.done.append("prepared")

    def step(self) -> bool:
        with self.changed:
            if not self.things:
                return False
            thing = self.things.pop(0)
            if isinstance(thing, Exception):
                raise thing
            self.done.append(thing)
            self.changed.notify_all()
            return True

    def close(self) -> None:
        self.closed = True

    def add(self, thing) -> None:
        with self.changed:
            self.things.append(thing)

    def wait_for(self, thing) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: thing in self.done, PATIENCE)


@pytest.fixture
def running(monkeypatch):
    """Starts a job runner for a job; every one is stopped in the end."""
    ended: Queue[str] = Queue()
    monkeypatch.setattr(runner_module, "end_process", ended.put)
    runners = []

    def start(job, *, look_seconds=600.0) -> JobRunner:
        runner = JobRunner(job, node="test", look_seconds=look_seconds)
        runner.ended = ended
        runners.append(runner)
        runner.start()
        return runner

    yield start
    for runner in runners:
        runner.stop(PATIENCE)


def test_it_prepares_once_and_empties_what_lies_there(running):
    job = Counting(1, 2)
    running(job)
    assert job.wait_for(2)
    assert job.done == ["prepared", 1, 2]


def test_a_wake_up_wakes_it(running):
    job = Counting(1)
    runner = running(job)
    assert job.wait_for(1)
    job.add(2)
    runner.wake()
    assert job.wait_for(2)


def test_it_looks_for_itself_when_no_wake_up_comes(running):
    job = Counting(1)
    running(job, look_seconds=0.05)
    assert job.wait_for(1)
    job.add(2)
    assert job.wait_for(2)


def test_a_database_that_is_away_is_tried_again(running, monkeypatch):
    monkeypatch.setattr(runner_module, "FIRST_PAUSE", 0.01)
    job = Counting(OperationalError("away"), OperationalError("away"), 3)
    runner = running(job)
    assert job.wait_for(3)
    assert runner.ended.empty()
    assert job.done.count("prepared") == 1


def test_a_disk_that_refuses_is_tried_again(running, monkeypatch):
    monkeypatch.setattr(runner_module, "FIRST_PAUSE", 0.01)
    job = Counting(PermissionError("not ours"), 3)
    runner = running(job)
    assert job.wait_for(3)
    assert runner.ended.empty()


def test_any_other_error_ends_the_process_and_is_reported_without_its_message(running):
    runner = running(Counting(ValueError("DOE^JOHN")))
    why = runner.ended.get(timeout=PATIENCE)
    assert "ValueError" in why
    assert "DOE" not in why


def test_stopping_finishes_the_step_in_hand_and_begins_no_other(running):
    entered, leave = threading.Event(), threading.Event()

    class Slow(Counting):
        def step(self) -> bool:
            entered.set()
            leave.wait(PATIENCE)
            return super().step()

    job = Slow(1, 2)
    runner = running(job)
    assert entered.wait(PATIENCE)
    runner.ask_to_stop()
    leave.set()
    runner.stop(PATIENCE)
    assert job.done == ["prepared", 1]
    assert job.closed


@pytest.mark.django_db(transaction=True)
def test_a_heartbeat_keeps_the_lease_alive_while_the_work_goes_on(monkeypatch):
    monkeypatch.setattr(runner_module, "LEASE", timedelta(seconds=0.4))
    UploadFactory()
    [upload] = Upload.objects.all().claim(lease=timedelta(seconds=0.4))
    first = Upload.objects.get().lease_expires_at
    with Heartbeat(upload, limit=60):
        until = time.monotonic() + PATIENCE
        while Upload.objects.get().lease_expires_at < first + timedelta(seconds=0.6):
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.mark.django_db(transaction=True)
def test_work_that_hangs_ends_the_process_so_that_its_lease_can_run_out(monkeypatch):
    monkeypatch.setattr(runner_module, "LEASE", timedelta(seconds=0.04))
    ended = threading.Event()
    monkeypatch.setattr(runner_module, "end_process", lambda why: ended.set())
    UploadFactory()
    [upload] = Upload.objects.all().claim(lease=timedelta(seconds=60))
    with Heartbeat(upload, limit=0.05):
        assert ended.wait(PATIENCE)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_stops_in_the_middle_of_a_job_queues_it_again(monkeypatch):
    entered, leave, ended = threading.Event(), threading.Event(), []

    class Hanging(Job):
        name = "hanging"

        def step(self) -> bool:
            [upload] = Upload.objects.claim()
            with Heartbeat(upload, limit=60):
                entered.set()
                leave.wait(PATIENCE)
            return False

    monkeypatch.setattr(runners, "end_process", lambda why, *, status: ended.append((why, status)))
    monkeypatch.setattr(runners, "STOP_SECONDS", 0.1)
    monkeypatch.setattr(runners, "_stopping", threading.Event())
    UploadFactory()
    runner = JobRunner(Hanging(), node="test")
    monkeypatch.setattr(runners, "runners", {"ingest": runner})
    runner.start()
    assert entered.wait(PATIENCE)
    assert Upload.objects.get().status == "parsing"
    runners.stop()
    upload = Upload.objects.get()
    assert (upload.status, upload.attempts, upload.attempt_token) == ("received", 0, None)
    assert ended == [("stopped; queued again: hanging", 0)]
    leave.set()
    assert runner.stop(PATIENCE)
