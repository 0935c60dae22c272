"""A queue of three scans for two readers each."""

from __future__ import annotations

import pytest

from tests import factories
from webapp.labels.queues import queue_create


@pytest.fixture
def boss(person, site):
    """Who may make queues and decide."""
    return person("boss", role="admin", site=site)


@pytest.fixture
def third(person, site):
    return person("third", role="clinician", site=site)


@pytest.fixture
def scans(site):
    return factories.ScanFactory.create_batch(3, site=site)


@pytest.fixture
def make_queue(site, boss):
    """`make_queue(readers=1)`"""

    def make(**changes):
        text = {
            "name": "Night",
            "findings": ["normal", "pneumonia"],
            "order": "random",
            "readers": 2,
            "at_most": 50,
        }
        return queue_create(site=site, actor=boss, **text | changes)

    return make


@pytest.fixture
def queue(scans, make_queue):
    return make_queue()
