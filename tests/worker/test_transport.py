from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from queue import Empty

import pytest
from kombu import Connection

ENVELOPE = {"body": "W10=", "headers": {}, "content-type": "application/json", "content-encoding": "utf-8"}


@pytest.fixture
def connection(tmp_path):
    folders = dict.fromkeys(("data_folder_in", "data_folder_out", "control_folder"), str(tmp_path))
    with Connection(
        "filesystem://localhost/",
        transport="webapp.core.jobs.transport:Transport",
        transport_options=folders | {"polling_interval": 0.01},
    ) as connection:
        yield connection


def received(connection) -> list:
    queue = connection.SimpleQueue("infer")
    found = []
    try:
        while True:
            message = queue.get(timeout=0.05)
            message.ack()
            found.append(message.payload)
    except Empty:
        return found


def send(connection, *bodies) -> None:
    """As Celery does: to the queue by its name, through no exchange."""
    producer = connection.Producer(serializer="json")
    for body in bodies:
        producer.publish(body, exchange="", routing_key="infer")


def test_messages_arrive_once_and_in_order(connection, tmp_path):
    send(connection, *range(5))
    assert received(connection) == [0, 1, 2, 3, 4]
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"body": "W1', id="torn"),
        pytest.param(b"\xff\xfe\x00", id="not text"),
        pytest.param(b"[]", id="not an envelope"),
        pytest.param(b"{}", id="nothing in it"),
        pytest.param(
            json.dumps(ENVELOPE | {"properties": {"delivery_tag": "1"}}).encode(), id="not addressed"
        ),
    ],
)
def test_a_message_that_cannot_be_read_is_set_aside_and_the_next_delivered(connection, tmp_path, garbage):
    (tmp_path / "00000000000000000000_bad.infer.msg").write_bytes(garbage)
    send(connection, "good")
    assert received(connection) == ["good"]
    assert (tmp_path / "unreadable" / "00000000000000000000_bad.infer.msg").read_bytes() == garbage


def test_a_folder_in_a_messages_place_is_set_aside(connection, tmp_path):
    (tmp_path / "00000000000000000000_bad.infer.msg").mkdir()
    send(connection, "good")
    assert received(connection) == ["good"]
    assert (tmp_path / "unreadable" / "00000000000000000000_bad.infer.msg").is_dir()


def test_a_message_that_is_still_being_written_is_not_seen(connection, tmp_path):
    (tmp_path / ".00000000000000000000_half.infer.msg.tmp").write_bytes(b'{"bo')
    assert received(connection) == []
    assert not (tmp_path / "unreadable").exists()


def test_two_workers_share_the_messages_without_loss_or_double(connection):
    send(connection, *range(40))
    with ThreadPoolExecutor(2) as pool:
        shares = list(pool.map(received, [connection.clone(), connection.clone()]))
    assert Counter(shares[0] + shares[1]) == Counter(range(40))
