from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest
from django.conf import settings
from django.db import transaction

from webapp.core.jobs import queues as queue
from webapp.core.jobs.queues import Queue, notify_workers

INGEST, INFER = Queue.INGEST, Queue.INFER


@pytest.fixture
def sent(settings, tmp_path):
    """The names of the tasks whose messages lie in the queue's folder."""
    settings.REDIS_URL = ""
    settings.HILUM_QUEUE_FOLDER = tmp_path / "queue"
    queue.producer.cache_clear()
    yield lambda: [
        json.loads(path.read_text())["headers"]["task"]
        for path in sorted(settings.HILUM_QUEUE_FOLDER.glob("*.msg"))
    ]
    queue.producer.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_a_wake_up_waits_for_the_commit_and_is_sent_once_a_transaction(sent):
    with transaction.atomic():
        for _ in range(3):
            notify_workers(INGEST)
        notify_workers(INFER)
        assert sent() == []
    assert sorted(sent()) == [INFER.task, INGEST.task]


def undone_wake_up() -> None:
    with transaction.atomic():
        notify_workers(INGEST)
        raise ZeroDivisionError


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_wakes_workers_nobody_and_the_next_transaction_wakes_workers_again(sent):
    with pytest.raises(ZeroDivisionError):
        undone_wake_up()
    assert sent() == []
    with transaction.atomic():
        notify_workers(INGEST)
    assert sent() == [INGEST.task]


@pytest.mark.django_db(transaction=True)
def test_a_wake_up_of_a_savepoint_that_was_undone_does_not_swallow_a_later_one(sent):
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError):
            undone_wake_up()
        notify_workers(INGEST)
    assert sent() == [INGEST.task]


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_down_is_logged_and_never_raised(settings, caplog):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    queue.producer.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            notify_workers(INGEST)
    finally:
        queue.producer.cache_clear()
    assert "broker unavailable" in caplog.text


def test_an_unknown_task_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="missing"):
        notify_workers("missing")


def test_sending_takes_neither_torch_nor_the_workers_code():
    program = (
        "import django, sys; django.setup(); from webapp.core.jobs.queues import producer; producer();"
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'worker')])"
    )
    env = {"DJANGO_SETTINGS_MODULE": "webapp.settings", "HILUM_ENV": "test"}
    env |= {"HILUM_DATA": str(settings.HILUM_DATA / "sending"), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=settings.BASE_DIR, env=env, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
