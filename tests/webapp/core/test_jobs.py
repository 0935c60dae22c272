"""The job table: who may take a row, how long they hold it, and who wins when two believe they do."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from tests.factories import UploadFactory, UserFactory
from tests.threads import in_threads
from webapp.core.jobs import table
from webapp.core.jobs.table import IllegalTransition, job_failed
from webapp.scans.models import Upload

pytestmark = pytest.mark.django_db
LEASE = timedelta(minutes=2)
ALL = Upload.objects.all


@pytest.fixture
def rows(site):
    user = UserFactory()
    return [UploadFactory(site=site, user=user) for _ in range(4)]


def take(n: int = 1) -> list[Upload]:
    return ALL().claim(n, lease=LEASE)


def lose_lease(*rows: Upload) -> None:
    held = Upload.objects.filter(pk__in=[row.pk for row in rows])
    assert held.update(lease_expires_at=F("lease_expires_at") - 2 * LEASE) == len(rows)


def test_rows_are_claimed_oldest_first_under_one_token(rows):
    claimed = take(3)
    assert [row.pk for row in claimed] == [row.pk for row in rows[:3]]
    assert {(row.status, row.attempts) for row in claimed} == {("parsing", 1)}
    assert len({row.attempt_token for row in claimed}) == 1
    assert [row.pk for row in take(3)] == [rows[3].pk]
    assert take(3) == []


def test_a_lease_is_counted_by_the_databases_clock(rows, monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: pytest.fail("the process's clock was asked"))
    row = take()[0]
    assert not ALL().expired().exists()
    lose_lease(row)
    assert [r.pk for r in ALL().expired()] == [row.pk]


def test_a_finished_row_lets_go_of_token_and_lease(rows):
    row = take()[0]
    assert row.finish("done")
    row.refresh_from_db()
    assert (row.status, row.attempt_token, row.lease_expires_at) == ("done", None, None)
    assert row.finished_at is not None


def test_a_late_duplicate_loses(rows):
    late = take()[0]
    lose_lease(late)
    second = take()[0]
    assert second.pk == late.pk
    assert second.attempt_token != late.attempt_token
    assert not late.fail("late")
    assert second.finish("done")
    assert not second.fail("late")
    late.refresh_from_db()
    assert (late.status, late.error_code) == ("done", "")


def test_a_heartbeat_keeps_the_row_and_a_lost_token_keeps_nothing(rows):
    row = take()[0]
    lose_lease(row)
    assert row.extend_lease(LEASE) == 1
    assert not ALL().expired().exists()
    assert row.is_held()
    row.attempt_token = uuid.uuid4()
    assert row.extend_lease(LEASE) == 0
    assert not row.is_held()


def test_after_a_lost_lease_rows_are_claimed_singly(rows):
    lose_lease(*take(3))
    assert [[row.pk for row in take(4)] for _ in range(3)] == [[row.pk] for row in rows[:3]]
    assert [row.pk for row in take(4)] == [rows[3].pk]


def test_a_fresh_batch_leaves_out_the_row_that_lost_its_lease(rows):
    poison = rows[2]
    Upload.objects.filter(pk=poison.pk).update(attempts=1)
    assert [row.pk for row in take(4)] == [rows[0].pk, rows[1].pk, rows[3].pk]
    assert [row.pk for row in take(4)] == [poison.pk]


def test_a_rival_who_was_quicker_keeps_the_row(rows, monkeypatch):
    real = table._oldest_batch

    def rival_first(queryset, n):
        picked = real(queryset, n)
        monkeypatch.setattr(table, "_oldest_batch", real)
        assert [row.pk for row in take()] == [rows[0].pk]
        return picked

    monkeypatch.setattr(table, "_oldest_batch", rival_first)
    assert [row.pk for row in take(2)] == [rows[1].pk]


def test_a_row_is_given_up_at_the_attempt_cap_and_reported_once(rows):
    for _ in range(Upload.TRANSITIONS.max_attempts):
        row = Upload.objects.filter(pk=rows[0].pk).claim(lease=LEASE)[0]
        assert ALL().give_up() == 0
        lose_lease(row)
    reported = []
    job_failed.connect(receiver := lambda job, **kwargs: reported.append(job.pk), sender=Upload)
    assert rows[0].pk not in [row.pk for row in take(4)]
    assert ALL().give_up() == 0
    job_failed.disconnect(receiver, sender=Upload)
    assert reported == [rows[0].pk]
    row.refresh_from_db()
    assert (row.status, row.error_code) == ("failed", "gave_up")


def test_a_retried_row_has_all_its_attempts_again(rows):
    row = take()[0]
    row.fail("disk_full")
    row.refresh_from_db()
    assert row.retry()
    row.refresh_from_db()
    assert (row.status, row.attempts, row.error_code, row.finished_at) == ("received", 0, "", None)


def test_a_released_row_has_lost_no_attempt(rows):
    assert take(2)[0].release() == 2
    assert [row.attempts for row in take(4)] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("source", "target"), [("done", "parsing"), ("refused", "parsing"), ("failed", "done")]
)
def test_a_status_moves_only_as_its_table_states(rows, source, target):
    reason = {"refusal": "too_small"} if source == "refused" else {}
    Upload.objects.filter(pk=rows[0].pk).update(status=source, **reason)
    row = Upload.objects.get(pk=rows[0].pk)
    row.status = target
    with pytest.raises(IllegalTransition):
        row.save()


def test_finishing_to_where_a_running_row_cannot_go_raises(rows):
    row = ALL().claim(lease=LEASE)[0]
    with pytest.raises(IllegalTransition):
        row.finish("parsing")


@pytest.mark.parametrize(
    "values",
    [
        {"status": "unheard_of"},
        {"status": "parsing"},
        {"status": "received", "attempt_token": uuid.uuid4()},
        {"status": "refused"},
        {"refusal": "too_small"},
    ],
)
def test_the_database_refuses_what_the_table_does_not_know(rows, values):
    with pytest.raises(IntegrityError), transaction.atomic():
        Upload.objects.filter(pk=rows[0].pk).update(**values)


def runner() -> list[uuid.UUID]:
    taken = []
    while claimed := take(3):
        taken += [row.pk for row in claimed]
    return taken


@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_time_take_each_row_once(rows, site):
    user = UserFactory()
    rows += [UploadFactory(site=site, user=user) for _ in range(26)]
    taken = in_threads(*[runner] * 4)
    assert sorted(key for keys in taken for key in keys) == sorted(row.pk for row in rows)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_row_that_another_worker_is_taking_is_skipped_not_waited_for(rows):
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: set DATABASE_URL")
    with transaction.atomic():
        mine = [row.pk for row in take(2)]
        others = in_threads(lambda: [row.pk for row in take(4)])[0]
    assert mine == [row.pk for row in rows[:2]]
    assert others == [row.pk for row in rows[2:]]
