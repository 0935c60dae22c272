"""Readers who ask at the same moment; on SQLite and, with DATABASE_URL, on PostgreSQL.

Without labels, which the database lets nobody remove, not even a test that cleans up.
"""

from __future__ import annotations

from functools import partial

import pytest

from tests import factories
from tests.threads import in_threads
from webapp.accounts.models import Role
from webapp.accounts.services import membership_set
from webapp.labels.models import QueueClaim
from webapp.labels.queues import case_next

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def readers(person, site):
    """The roles of the data migration are flushed by tests like these."""
    role, _ = Role.objects.get_or_create(name="clinician", defaults={"permissions": ["scan.label"]})
    users = [person(f"reader{n}") for n in range(6)]
    for user in users:
        membership_set(user=user, site=site, role=role)
    return users


@pytest.mark.parametrize("places", [1, 2])
def test_readers_who_ask_at_once_never_get_a_place_that_is_taken(site, readers, places):
    queue = factories.LabelQueueFactory(site=site, readers=places)
    for number in range(4):
        factories.QueueItemFactory(queue=queue, position=number)
    handed = in_threads(*(partial(case_next, queue=queue, reader=reader) for reader in readers))
    given = [item.pk for item in handed if item]
    assert len(given) == min(6, 4 * places)
    assert max(given.count(key) for key in given) <= places
    assert QueueClaim.objects.count() == len(given)
