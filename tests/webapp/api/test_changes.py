"""The change feed: every event of the site after a known one, oldest first."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from webapp.webhooks.kinds import EventKind
from webapp.webhooks.models import Event
from webapp.webhooks.services import announce

CHANGES = "/api/v1/changes/"


@pytest.fixture
def events(db, site, other_site):
    """Three events without any subscriber, and one of another site."""
    for at in (site, site, other_site, site):
        announce(site_id=at.pk, kind=EventKind.SCAN_CREATED, subject=uuid4(), data={"reason": None})
    Event.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    return list(Event.objects.filter(site=site).order_by("number"))


def test_the_feed_is_followed_by_the_last_sequence(client, events, site):
    first = client.get(CHANGES, {"limit": 2}).json()
    assert [row["sequence"] for row in first["results"]] == [event.number for event in events[:2]]
    assert (first["results"][0]["type"], first["results"][0]["id"]) == (
        "scan.created",
        str(events[0].subject),
    )
    rest = client.get(first["next"]).json()
    assert ([row["sequence"] for row in rest["results"]], rest["next"]) == ([events[2].number], None)
    assert client.get(CHANGES, {"after": events[2].number}).json()["results"] == []
    announce(site_id=site.pk, kind=EventKind.SCAN_MOVED, subject=uuid4(), data={})
    assert client.get(CHANGES, {"after": events[2].number}).json()["results"] == [], "not settled yet"


@pytest.mark.parametrize("after", ["-1", "x", "9" * 19])
def test_a_sequence_that_cannot_be_one_is_refused(client, after):
    response = client.get(CHANGES, {"after": after})
    assert (response.status_code, list(response.json()["errors"])) == (400, ["after"])
