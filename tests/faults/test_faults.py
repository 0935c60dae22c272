"""Real processes, killed at the worst moment: every upload still reaches its result, once."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_infer_worker_is_killed_in_mid_batch(instance):
    with instance.paused("infer"):  # so that it finds a batch, however quick the machine
        instance.upload(8)
        instance.wait_until(lambda: instance.count("analysis_analysis", "queued") == 8)
    instance.wait_until(lambda: instance.count("analysis_analysis", "running") > 1)
    killed = instance.kill("infer")
    instance.assert_every_upload_reaches_its_result_once()
    assert instance.pid_of("infer") != killed
    assert instance.rows("SELECT max(attempts) FROM analysis_analysis") == [(2,)]


def test_the_ingest_worker_is_killed_while_it_reads(instance):
    instance.upload(8)
    instance.wait_until(lambda: instance.count("scans_upload", "parsing") > 0)
    killed = instance.kill("ingest")
    instance.assert_every_upload_reaches_its_result_once()
    assert instance.pid_of("ingest") != killed


def test_messages_that_cannot_be_read_lie_in_the_queue(instance):
    queue = instance.data / "queue"
    for name in ("ingest", "infer", "control"):
        (queue / f"00000000000000000000_empty.{name}.msg").touch()
        (queue / f"00000000000000000001_torn.{name}.msg").write_bytes(b'{"body": "W1')
    before = {worker: instance.pid_of(worker) for worker in ("ingest", "infer")}
    instance.upload(3)
    instance.assert_every_upload_reaches_its_result_once()
    assert {worker: instance.pid_of(worker) for worker in before} == before
    assert len(list((queue / "unreadable").iterdir())) == 6


def test_all_messages_are_lost(instance):
    instance.upload(3)
    for message in (instance.data / "queue").glob("*.msg"):
        message.unlink(missing_ok=True)
    instance.assert_every_upload_reaches_its_result_once()


@pytest.mark.services
def test_redis_is_killed_with_its_data_stays_away_and_comes_back_empty(instance_on_redis, redis):
    instance_on_redis.upload(6)
    instance_on_redis.wait_until(lambda: instance_on_redis.count("analysis_analysis", "running") > 0)
    redis.lose()
    instance_on_redis.upload(2)
    instance_on_redis.assert_every_upload_reaches_its_result_once()
    redis.start()
    instance_on_redis.upload(2)
    instance_on_redis.assert_every_upload_reaches_its_result_once()
